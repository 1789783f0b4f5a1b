"""What is asked of a model that composes, as the service takes it; and the pieces that came of it."""

import base64
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

from etude.errors import EtudeError
from etude.jobs import Job
from etude.transport import Progress

# The service takes 262,144 signs of base64.
SCORE_BYTES = 262_144 * 3 // 4
PLAIN = ("pieces", "bars", "key", "meter", "tempo", "temperature", "top_p", "seed")
# The score that pieces are made around: what it is called here, and there.
AROUND = {"continue_from": "prompt", "harmonise": "melody", "fill": "infill"}
USUAL_FORMATS = ("midi", "musicxml", "json", "png")
ANY_PITCH = (0, 127)

Json = dict[str, Any]


class Asked(TypedDict, total=False):
    """What to compose; all may be left out, and None is left out.

    `continue_from`, `harmonise` and `fill` are files (MIDI, MusicXML, MXL). `voices` are those of a melody that stands,
    or those that are written anew; `bars_anew` pairs from and to. `ranges` holds the lowest and highest pitch by voice.
    """

    pieces: int
    bars: int | None
    key: str | None
    meter: str | None
    tempo: float | None
    temperature: float
    top_p: float
    seed: int
    continue_from: str | Path | None
    keep_bars: int | None
    harmonise: str | Path | None
    fill: str | Path | None
    bars_anew: Sequence[Sequence[int]] | None
    voices: Sequence[int] | None
    no_parallels: bool
    strict: bool
    ranges: Mapping[int, Sequence[int]] | None
    copies_at_most: int | None
    formats: Sequence[str] | None
    wav: bool
    params: Json | None


class Composition:
    """A job that has composed, and its pieces."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __repr__(self) -> str:
        return f"<Composition {self.job.id} of {len(self.pieces)} pieces>"

    @cached_property
    def pieces(self) -> list[Json]:
        """Of each piece its `key`, `bars`, `notes`, `key_name`, `nll_per_token`, what was `copied`, `relaxed`, …"""
        return list(self.job.predictions())

    @cached_property
    def refused(self) -> list[Json]:
        """The pieces that are not handed out, each with its `reason`."""
        return list(self.job.predictions(errors=True))

    def save(self, folder: str | Path, *, progress: Progress | None = None) -> list[Path]:
        """Every file of every piece, into a folder; none where all were refused."""
        if not self.pieces:
            return []
        return self.job.download_files(folder, progress=progress)


def params(asked: Asked, *, voices: int | None = None) -> Json:
    """The params of a `generate` job; `voices` is how many the model has. Raises EtudeError for what does not fit."""
    _refuse(asked)
    said = {name: asked.get(name) for name in PLAIN}
    said |= {theirs: _around(ours, asked) for ours, theirs in AROUND.items() if asked.get(ours)}
    if asked.get("no_parallels") or asked.get("strict"):
        said["constraints"] = {"if_impossible": "refuse"} if asked.get("strict") else {}
    said["ranges"] = _ranges(asked.get("ranges") or {}, voices)
    limit = asked.get("copies_at_most")
    said["copies"] = None if limit is None else {"notes": limit}
    said["formats"] = _formats(asked)
    return {**{name: value for name, value in said.items() if value is not None}, **(asked.get("params") or {})}


def voices_of(version: Json) -> int | None:
    """How many voices a version writes, as its card tells; None where it does not."""
    ranges = version["metrics"].get("music", {}).get("ranges", {}).get("training")
    return len(ranges) if ranges else None


def _refuse(asked: Asked) -> None:
    scores = [name for name in AROUND if asked.get(name)]
    if len(scores) > 1:
        raise EtudeError("One score is continued, harmonised or filled: not several at once.")
    if asked.get("bars") is not None and scores and scores != ["continue_from"]:
        raise EtudeError("The score says how long the piece is: leave bars out.")
    if asked.get("voices") and scores not in (["harmonise"], ["fill"]):
        raise EtudeError("voices are those of a score: name one to harmonise, or one to fill.")
    if asked.get("keep_bars") is not None and scores != ["continue_from"]:
        raise EtudeError("Bars are kept of a score that is continued: name it.")
    if bool(asked.get("bars_anew")) != (scores == ["fill"]):
        raise EtudeError("A score to fill and the bars that are written anew, such as 5-8, are named together.")


def _around(name: str, asked: Asked) -> Json:
    score = _read(Path(str(asked[name])))  # type: ignore[literal-required]
    if name == "continue_from":
        bars = asked.get("keep_bars")
        return score if bars is None else {**score, "bars": bars}
    given_voices = asked.get("voices")
    said = {**score, **({"voices": list(given_voices)} if given_voices else {})}
    return said if name == "harmonise" else {**said, "bars": [list(each) for each in asked.get("bars_anew") or ()]}


def _read(path: Path) -> Json:
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise EtudeError(f"{path} cannot be read: {cause.strerror or cause}.") from cause
    if not 0 < len(content) <= SCORE_BYTES:
        raise EtudeError(f"{path} has {len(content):,} bytes: expected a score of 1 to {SCORE_BYTES:,}.")
    return {"content": base64.b64encode(content).decode(), "name": path.name}


def _ranges(asked: Mapping[int, Sequence[int]], voices: int | None) -> list[list[int]] | None:
    """The service wants a range for each voice: those that are not named may go anywhere."""
    if not asked:
        return None
    count = max(voices or 0, *(voice + 1 for voice in asked))
    return [list(asked.get(voice, ANY_PITCH)) for voice in range(count)]


def _formats(asked: Asked) -> list[str] | None:
    formats = list(asked.get("formats") or (USUAL_FORMATS if asked.get("wav") else ()))
    return [*formats, *(["wav"] if asked.get("wav") and "wav" not in formats else [])] or None
