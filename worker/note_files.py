"""Notes as files: MIDI to play, CSV to count, JAMS to exchange; and CSV of what was really played, to compare with."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import symusic

from shared import sorts
from shared.errors import Fault, JobFailed
from worker.pretrained.notes import Note

Json = dict[str, Any]  # Any: JSON

# With it a tick is half a millisecond at 120 quarters a minute; the transcriber knows time to 12 ms.
TICKS_A_QUARTER = 960
PIANO = 0
# The tempo is not heard but needed: MIDI counts time in quarters.
BPM = 120.0
CSV_HEADER = "start_time_s,end_time_s,pitch_midi,velocity"
JAMS_VERSION = "0.3.5"

# An hour of the densest music has 100,000 notes.
MOST_NOTES, MOST_BYTES = 500_000, 32 * 1024 * 1024
COLUMNS = ("onset", "offset", "pitch", "velocity")
USUAL_VELOCITY = 64
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def midi(notes: Sequence[Note], *, bpm: float = BPM) -> bytes:
    """A MIDI file of type 1 with one track, a piano; times are off by half a tick, .26 ms at the usual tempo."""
    ticks_a_second = TICKS_A_QUARTER * bpm / 60
    score: Any = symusic.Score(TICKS_A_QUARTER)  # Any: its types know no members
    score.tempos.append(symusic.Tempo(0, bpm))
    track: Any = symusic.Track("Piano", PIANO)
    for note in notes:
        start = round(note.onset_s * ticks_a_second)
        length = max(round(note.offset_s * ticks_a_second) - start, 1)
        track.notes.append(symusic.Note(start, length, note.pitch, note.velocity))
    score.tracks.append(track)
    return bytes(score.dumps_midi())


def csv(notes: Sequence[Note]) -> bytes:
    """A header and a line a note; seconds to the microsecond."""
    lines = [f"{note.onset_s:.6f},{note.offset_s:.6f},{note.pitch},{note.velocity}\n" for note in notes]
    return "".join([f"{CSV_HEADER}\n", *lines]).encode()


def jams(notes: Sequence[Note], *, title: str, duration_s: float, model: str) -> Json:
    """One annotation of JAMS (Humphrey et al., ISMIR 2014) in the namespace note_midi; `model` is named as annotator.

    The confidence of a note is its amplitude.
    """
    data = [
        {
            "time": note.onset_s,
            "duration": round(note.offset_s - note.onset_s, 6),
            "value": note.pitch,
            "confidence": note.amplitude,
        }
        for note in notes
    ]
    annotation = {
        "namespace": "note_midi",
        "annotation_metadata": {"annotator": {"model": model}, "annotation_tools": "Etude", "data_source": "program"},
        "data": data,
        "time": 0,
        "duration": duration_s,
        "sandbox": {},
    }
    about = {"title": title, "duration": duration_s, "jams_version": JAMS_VERSION}
    return {"file_metadata": about, "annotations": [annotation], "sandbox": {}}


def read_notes_csv(path: Path) -> list[Note]:
    """Onset and offset in seconds, pitch as MIDI numbers it and, if given, velocity; split by comma, semicolon or tab.

    A first line that begins with no number is a header; what follows the fourth column is not read.
    Raises JobFailed with every faulty line.
    """
    if path.stat().st_size > MOST_BYTES:
        raise _rejected([Fault(f"expected at most {MOST_BYTES} bytes of notes", file=path.name)])
    read = [(row, _read(cells)) for row, cells in _cells(path)]
    if len(read) > MOST_NOTES:
        raise _rejected([Fault(f"expected at most {MOST_NOTES} notes, received {len(read)}", file=path.name)])
    if faults := [Fault(said, file=path.name, row=row) for row, said in read if isinstance(said, str)]:
        raise _rejected(faults)
    return sorted(note for _, note in read if isinstance(note, Note))


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that has any, with its number from 1, without the header."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for row, line in enumerate(file, start=1):
            cells = [cell.strip(" \"'\r\n") for cell in re.split("[,;\t]", line)]
            if any(cells) and (row > 1 or NUMBER.fullmatch(cells[0])):
                yield row, cells


def _read(cells: list[str]) -> Note | str:
    """The note of a line, or what is wrong with it."""
    if len(cells) < 3:
        return f"expected onset, offset and pitch, received {len(cells)} cells"
    for name, cell in zip(COLUMNS, cells, strict=False):
        if not NUMBER.fullmatch(cell):
            return f"expected a number as {name}, received {sorts.of(cell)}"
    onset, offset, pitch, velocity = [*map(float, cells[:4]), float(USUAL_VELOCITY)][:4]
    if not 0 <= onset < offset < math.inf:
        return "expected an offset after an onset from 0 on, in seconds, received another"
    if pitch not in range(128):
        return f"expected a whole pitch from 0 to 127, received {sorts.of(pitch)}"
    if velocity not in range(1, 128):
        return f"expected a whole velocity from 1 to 127, received {sorts.of(velocity)}"
    return Note(onset, offset, int(pitch), int(velocity), velocity / 127)


def _rejected(faults: list[Fault]) -> JobFailed:
    said = f"The notes in {faults[0].file} cannot be read: correct the lines named and upload the file again."
    return JobFailed(said, code="dataset_rejected", faults=faults, faults_total=len(faults))
