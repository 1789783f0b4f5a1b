"""The files of what was composed: for each piece those that were asked for, and a row that tells of it."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from shared.errors import Fault
from shared.kinds.generation import GenerateParams
from shared.settings import Settings
from worker import prediction_files
from worker.kinds.generation.briefs import Brief
from worker.kinds.generation.compose import Made
from worker.lines import JsonLines
from worker.symbolic import as_json, audio, midi_writer, musicxml_writer, roll
from worker.symbolic.piece import TICKS, Piece
from worker.symbolic.roll import Mark
from worker.track_files import TrackFile, TrackFiles

Json = dict[str, Any]

MEDIA_TYPES = {
    "midi": ("mid", "audio/midi"),
    "musicxml": ("musicxml", "application/vnd.recordare.musicxml+xml"),
    "json": ("json", "application/json"),
    "png": ("png", "image/png"),
    "wav": ("wav", "audio/wav"),
}
# As columns of a table, which has no objects inside.
COLUMNS = pa.schema(
    [
        ("key", pa.string()), ("key_name", pa.string()), ("bars", pa.int64()), ("notes", pa.int64()),
        ("nll_per_token", pa.float64()), ("parallels", pa.int64()), ("moves", pa.int64()),
        ("crossed_frames", pa.int64()), ("copied_notes", pa.int64()), ("copied_bars", pa.float64()),
        ("copied_source_key", pa.string()), ("relaxed_bars", pa.string()),
    ]
)  # fmt: skip
RENDER_LIMIT_S = 600.0
# A passage of fewer notes stands in any two pieces of a kind; a picture of it would point at nothing.
POINTED_OUT = 12


@dataclass(frozen=True)
class Written:
    """A piece with what is said of it, and why it is not handed out, if it is not."""

    number: int
    made: Made
    said: Json
    refusal: Fault | None

    @property
    def key(self) -> str:
        return f"piece-{self.number + 1:03d}"


def write(
    folder: Path,
    pieces: Sequence[Written],
    brief: Brief,
    params: GenerateParams,
    *,
    model: str,
    settings: Settings,
    check: Callable[[], None],
) -> dict[str, int]:
    """Write all that a composition hands out into a folder; returns how many rows its files have, by their names."""
    good = [each for each in pieces if each.refusal is None]
    with TrackFiles(folder) as files, JsonLines(folder / "predictions.jsonl") as rows:
        for each in good:
            check()
            piece = replace(each.made.piece, name=each.key)
            stored = files.add(each.number, each.key, _files(folder, piece, each, brief, params, model, settings))
            rows.write(json.dumps({**_row(each), "files": stored}, ensure_ascii=False, allow_nan=False))
    with JsonLines(folder / "errors.jsonl") as errors:
        for each in pieces:
            if each.refusal is not None:
                why = {"code": each.refusal.code, "reason": each.refusal.message}
                errors.write(json.dumps({**_row(each), **why}, ensure_ascii=False))
    _write_tables(folder, good)
    return {"predictions": rows.rows, "errors": errors.rows, "files": files.count}


def _row(each: Written) -> Json:
    return {"row": each.number, "key": each.key, **each.said}


def _write_tables(folder: Path, pieces: Sequence[Written]) -> None:
    rows = pa.RecordBatch.from_pylist([_flat(each) for each in pieces], schema=COLUMNS)
    pq.write_table(pa.Table.from_batches([rows]), folder / "predictions.parquet", store_schema=False)
    # Names of files are a client's, and a spreadsheet takes some of them for formulas.
    pyarrow.csv.write_csv(prediction_files.defused(rows), folder / "predictions.csv")


def _flat(each: Written) -> Json:
    """A row without objects inside."""
    row, copied = _row(each), each.said["copied"] or {}
    flat = {name: row.get(name) for name in COLUMNS.names}
    flat |= {f"copied_{name}": copied.get(name) for name in ("notes", "bars", "source_key")}
    return {**flat, "relaxed_bars": " ".join(str(bar["bar"]) for bar in each.said["relaxed"])}


def _files(
    folder: Path, piece: Piece, each: Written, brief: Brief, params: GenerateParams, model: str, settings: Settings
) -> Iterator[TrackFile]:
    for name in dict.fromkeys(params.formats):
        suffix, media_type = MEDIA_TYPES[name]
        yield TrackFile(suffix, media_type, _content(name, folder, piece, each, brief, model, settings))


def _content(
    name: str, folder: Path, piece: Piece, each: Written, brief: Brief, model: str, settings: Settings
) -> bytes:
    title = f"{each.key} by {model}"
    if name == "midi":
        return midi_writer.write(piece)
    if name == "musicxml":
        return musicxml_writer.write(piece, title=title)
    if name == "json":
        told = {"model": model, **_row(each), "piece": as_json.describe(piece)}
        return json.dumps(told, ensure_ascii=False, allow_nan=False).encode()
    if name == "png":
        return roll.draw(piece, title=title, marks=_marks(each), given=brief.given_voices)
    out = folder.parent / "rendered.wav"
    audio.render(midi_writer.write(piece), Path(settings.soundfont), out, time_limit_s=RENDER_LIMIT_S)
    content = out.read_bytes()
    out.unlink()
    return content


def _marks(each: Written) -> list[Mark]:
    """What a picture points out: where rules were given up, and what stands in the training set."""
    marks = [Mark(first, last, "rules relaxed") for first, last, _ in each.made.relaxed]
    copied = each.said["copied"]
    if copied is not None and copied["notes"] >= POINTED_OUT:
        start = round(copied["at_quarter"] * TICKS)
        marks.append(Mark(start, start + round(copied["quarters"] * TICKS), f"as in {copied['source_key']}"))
    return marks
