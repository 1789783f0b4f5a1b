"""Reads the notes of a reference file, MIDI or CSV, in a confined child: one request in, one outcome out."""

import json
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from symusic import Score

from shared.errors import JobFailed
from worker import note_files

Json = dict[str, Any]  # Any: JSON

MOST_NOTES, MOST_BYTES = 200_000, 10 * 1024 * 1024
MIDI_HEADER_BYTES = 14


def main() -> None:
    (file,) = json.load(sys.stdin)["files"]
    try:
        say({"at": 0})
        say({"done": {"notes": read(Path(file["path"]), PurePosixPath(file["name"]).suffix.lower())}})
    except (ValueError, RuntimeError, JobFailed, MemoryError) as cause:
        # A library quotes what it has read.
        said = "expected a MIDI file, received a damaged one" if isinstance(cause, RuntimeError) else str(cause)
        say({"failed": {"code": "reference_unreadable", "detail": said[:200], "faults": [], "total": 0}})


def say(message: Json) -> None:
    print(json.dumps(message, allow_nan=False), flush=True)  # noqa: T201 — the pipe to the parent


def read(path: Path, suffix: str) -> list[tuple[float, float, float]]:
    """Onset and offset in seconds and MIDI pitch of each note. Raises ValueError when it is none of ours."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"expected at most {MOST_BYTES:,} bytes")
    notes = midi(path) if suffix in (".mid", ".midi") else table(path)
    if len(notes) > MOST_NOTES:
        raise ValueError(f"expected at most {MOST_NOTES:,} notes, received {len(notes):,}")
    return sorted(note for note in notes if 0 <= note[0] < note[1] < 86_400 and 0 <= note[2] <= 127)


def midi(path: Path) -> list[tuple[float, float, float]]:
    """The notes of every track but the drums'."""
    content = path.read_bytes()
    # A division of 0, or by frames of film, is what readers stumble over.
    if (
        content[:4] != b"MThd"
        or len(content) < MIDI_HEADER_BYTES
        or not 0 < int.from_bytes(content[12:14], "big") < 0x8000
    ):
        raise ValueError("expected a MIDI file that counts ticks by the beat")
    score: Any = Score.from_midi(content)  # Any: its types know no members
    score = score.to("second")
    return [
        (float(note.start), float(note.start + note.duration), float(note.pitch))
        for track in score.tracks
        if not track.is_drum
        for note in track.notes
    ]


def table(path: Path) -> list[tuple[float, float, float]]:
    """Rows of onset, offset and pitch, with or without a header."""
    return [(note.onset_s, note.offset_s, float(note.pitch)) for note in note_files.read_notes_csv(path)]
