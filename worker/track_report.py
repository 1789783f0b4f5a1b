"""What a dataset of audio is like: a report of every track, and the profile of all together."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shared.errors import FAULTS_SHOWN
from worker.manifest import PREFIX
from worker.profile import TableProfile
from worker.recordings import KEY, Track
from worker.roles import Roles

Json = dict[str, Any]  # Any: JSON

# Roles of which a later training should know that nobody named them.
GUESSED = "_inferred"


def report(track: Track, heard: Json | None, tracks: Sequence[Track]) -> Json:
    """One track, as GET /v1/datasets/{id}/tracks shows it."""
    heard = heard or {}
    same = None if track.same_as in (None, track.number) else tracks[track.same_as or 0].key
    flags = [*heard.get("quality", {}).get("flags", []), *(["duplicate"] if same else [])]
    return {
        "row": track.number,
        "key": track.key,
        "file": track.file,
        "start_s": track.start_s,
        "end_s": track.end_s,
        "duration_s": track.duration_s,
        "format": heard.get("format"),
        "rate_hz": heard.get("rate_hz"),
        "channels": heard.get("channels"),
        "flags": flags,
        "duplicate_of": same,
        "quality": {name: value for name, value in heard.get("quality", {}).items() if name != "flags"} or None,
        "loudness": heard.get("loudness"),
        "fault": None if track.fault is None else {"code": track.fault, "detail": track.reason},
    }


def profile(
    table: pa.Table, roles: Mapping[str, Any], reports: Sequence[Json], unnamed: Sequence[str], scratch: Any
) -> Json:
    """The profile of the usable rows, with what was heard of them; `roles` are those of the manifest and of audio."""
    usable = pa.array([each["fault"] is None for each in reports])
    kept = [name for name in table.column_names if not name.startswith(PREFIX) and name not in roles["drop"]]
    chosen = table.select(kept)
    part = Roles(roles["target"], roles["group"], None, roles["mask"], roles["drop"], [], {},
                 roles.get("licence"), roles.get("consent"))  # fmt: skip
    figures = TableProfile({name: chosen.schema.field(name).type for name in kept}, part, scratch)
    figures.take(chosen.filter(usable))
    said = figures.as_json()
    audio = _audio(reports, unnamed)
    return {
        **said,
        "rows": table.num_rows,
        "duplicates": 0,
        "roles": {**said["roles"], **roles, "id": KEY},
        "audio": audio,
        "warnings": [*said["warnings"], *_warnings(audio, roles)],
    }


def _audio(reports: Sequence[Json], unnamed: Sequence[str]) -> Json:
    usable = [each for each in reports if each["fault"] is None]
    faults = [_fault(each) for each in reports if each["fault"] is not None]
    faults += [
        {"row": None, "file": name, "code": "row_missing", "detail": "no row of the manifest is about this file"}
        for name in unnamed
    ]
    loudness = [value for each in usable if (value := (each["loudness"] or {}).get("integrated_lufs")) is not None]
    twins = [[each["duplicate_of"], each["key"]] for each in usable if each["duplicate_of"]]
    return {
        "tracks": len(usable),
        "hours": round(sum(each["duration_s"] or 0 for each in usable) / 3600, 4),
        "formats": dict(Counter(each["format"] for each in usable).most_common()),
        "rates_hz": {str(rate): count for rate, count in Counter(each["rate_hz"] for each in usable).most_common(20)},
        "flags": dict(Counter(flag for each in usable for flag in each["flags"]).most_common()),
        "loudness_lufs": _spread(loudness),
        "duplicates": twins[:FAULTS_SHOWN],
        "duplicates_total": len(twins),
        "faults": faults[:FAULTS_SHOWN],
        "faults_total": len(faults),
    }


def _fault(said: Json) -> Json:
    # Of a row about no file that there is, the name is a cell.
    is_there = said["fault"]["code"] not in ("file_missing", "path_outside")
    return {"row": said["row"], "file": said["file"] if is_there else None, **said["fault"]}


def _spread(values: Sequence[float]) -> Json | None:
    if not values:
        return None
    low, middle, high = np.percentile(values, [10, 50, 90]).round(2).tolist()
    return {"p10": low, "median": middle, "p90": high}


def _warnings(audio: Json, roles: Mapping[str, Any]) -> Iterator[Json]:
    if audio["faults_total"]:
        first = audio["faults"][0]
        said = f"{audio['faults_total']:,} files or rows cannot be used; {first['file'] or 'a row'}: {first['detail']}."
        yield {"code": "tracks_unusable", "detail": said}
    if audio["duplicates_total"]:
        said = f"{audio['duplicates_total']:,} tracks sound like an earlier one: they stay on one side of a split."
        yield {"code": "duplicates", "detail": said}
    if roles["target"] and roles["group"] is None:
        said = (
            "No column says which tracks belong together: name an artist or album as columns.group, or a result may "
            "look better than it is."
        )
        yield {"code": "no_group", "detail": said}
