"""NPZ files of grids: the frames of all pieces one after another, and how long each is, as chorales are published.

`frames` (N, voices) holds pitches and -1 for a rest, `attacks` (N, voices) what is struck and not held, `lengths` (P,)
how many frames each piece has; the three may stand once for each part under `train_`, `valid_` and `test_`.
"""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worker.formats.archive import HEADERS
from worker.symbolic import archive, bounds
from worker.symbolic.flaws import Flaw
from worker.symbolic.grid import REST
from worker.symbolic.piece import HIGHEST, NOTE, TICKS, USUAL_VELOCITY, Piece, Voice

# What arrays are called for a part, and how that is called here.
PREFIXES = {"": None, "train_": "train", "valid_": "validation", "validation_": "validation", "test_": "test"}
FRAMES, LENGTHS, ATTACKS, RESOLUTION = "frames", "lengths", "attacks", "resolution"
USUAL_RESOLUTION = 4  # frames a quarter: sixteenths
FINEST_RESOLUTION = 480
MOST_VOICES, MOST_PIECES = 64, 100_000
# Two arrays of as many frames stand in memory, and the notes of one piece.
MOST_BYTES = 256 * bounds.MiB


@dataclass(frozen=True)
class Part:
    """The grids of one part: `starts` has where each piece begins, and the end of the last."""

    # What its arrays are called after.
    prefix: str
    frames: np.ndarray
    attacks: np.ndarray | None
    starts: np.ndarray
    resolution: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def name(self) -> str | None:
        return PREFIXES[self.prefix]

    def piece(self, place: int, name: str) -> Piece:
        """One piece. Raises Flaw."""
        chosen = slice(int(self.starts[place]), int(self.starts[place + 1]))
        attacks = None if self.attacks is None else self.attacks[chosen] != 0
        return bounds.check(_piece(name, self.frames[chosen], attacks, self.resolution))


def read(path: Path) -> list[Part]:
    """The parts of an NPZ file. Raises Flaw."""
    with archive.opened(path) as opened:
        entries = archive.files(opened)
        if sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise Flaw("decompression_limit", f"expected arrays of at most {MOST_BYTES // bounds.MiB} MiB in all")
        arrays = {_title(entry): _array(opened, entry) for entry in entries}
    parts = list(_parts(arrays))
    if not parts:
        said = f"expected the arrays frames and lengths, received {', '.join(arrays)[:200] or 'none'}"
        raise Flaw("array_shape", said)
    if sum(map(len, parts)) > MOST_PIECES:
        raise Flaw("piece_too_large", f"expected at most {MOST_PIECES:,} pieces, received more")
    return parts


def _title(entry: zipfile.ZipInfo) -> str:
    if not entry.filename.endswith(".npy"):
        said = f"expected arrays only (name.npy), received {entry.filename[:60]!r} in the archive"
        raise Flaw("unsupported_format", said)
    return entry.filename[:-4]


def _array(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """An array of whole numbers or booleans. What its header says is checked before room is made for it."""
    file = io.BytesIO(archive.content(opened, entry))
    try:
        shape, is_column_major, dtype = HEADERS[np.lib.format.read_magic(file)](file)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError, SyntaxError) as cause:
        raise Flaw("array_header_invalid", f"{entry.filename[:60]!r} has no valid header") from cause
    if dtype.hasobject:
        raise Flaw("pickle_refused", f"{entry.filename[:60]!r} holds Python objects: save whole numbers")
    is_shape = len(shape) <= 2 and all(isinstance(side, int) and 0 <= side <= MOST_BYTES for side in shape)
    if dtype.kind not in "iub" or dtype.subdtype is not None or not is_shape:
        said = f"expected whole numbers (int8 to int64) or booleans in {entry.filename[:60]!r}, received {dtype}"
        raise Flaw("array_header_invalid", said[:300])
    rest = file.read()
    expected = int(np.prod([dtype.itemsize, *shape], dtype=object))
    if expected != len(rest):
        said = f"{entry.filename[:60]!r} declares {expected:,} bytes and holds {len(rest):,}"
        raise Flaw("array_header_invalid", said)
    return np.frombuffer(rest, dtype).reshape(shape, order="F" if is_column_major else "C")


def _parts(arrays: dict[str, np.ndarray]) -> Iterator[Part]:
    resolution = _resolution(arrays.get(RESOLUTION))
    for prefix in PREFIXES:
        frames, lengths = (arrays.get(f"{prefix}{each}") for each in (FRAMES, LENGTHS))
        if frames is None and lengths is None:
            continue
        if frames is None or lengths is None:
            said = f"expected both {prefix}{FRAMES} and {prefix}{LENGTHS}, received one of them"
            raise Flaw("array_shape", said)
        yield _part(prefix, frames, lengths, arrays.get(f"{prefix}{ATTACKS}"), resolution)


def _resolution(array: np.ndarray | None) -> int:
    if array is None:
        return USUAL_RESOLUTION
    if array.size != 1 or not 1 <= int(array.reshape(-1)[0]) <= FINEST_RESOLUTION:
        raise Flaw("array_shape", f"expected as resolution one number of frames a quarter, 1 to {FINEST_RESOLUTION}")
    return int(array.reshape(-1)[0])


def _part(prefix: str, frames: np.ndarray, lengths: np.ndarray, attacks: np.ndarray | None, resolution: int) -> Part:
    if frames.ndim != 2 or not 1 <= frames.shape[1] <= MOST_VOICES or frames.dtype.kind == "b":
        said = f"expected frames of shape (N, voices) with 1 to {MOST_VOICES} voices, received {frames.shape}"
        raise Flaw("array_shape", said)
    if attacks is not None and attacks.shape != frames.shape:
        raise Flaw("array_shape", f"expected attacks of the shape of frames, {frames.shape}, received {attacks.shape}")
    if lengths.ndim != 1 or lengths.dtype.kind == "b" or bool(np.any(lengths < 0)):
        raise Flaw("array_shape", f"expected lengths of shape (pieces,) and 0 or more, received {lengths.shape}")
    # Sums of Python's own: hostile lengths add up to what they please in 64 bits.
    total = sum(lengths.tolist())
    if total != len(frames):
        raise Flaw("array_shape", f"expected lengths that add up to {len(frames):,} frames, received {total:,}")
    starts = np.concatenate([[0], np.cumsum(lengths.astype(np.int64))])
    return Part(prefix, frames, attacks, starts, resolution)


def _piece(name: str, frames: np.ndarray, attacks: np.ndarray | None, resolution: int) -> Piece:
    """A run of one pitch is one note, until it is struck again."""
    if len(frames) > bounds.MOST_QUARTERS * resolution:
        raise Flaw("piece_too_long", bounds.too_long(len(frames) / resolution))
    if bool(np.any((frames < REST) | (frames > HIGHEST))):
        raise Flaw("pitch_range", f"expected pitches from 0 to {HIGHEST}, and {REST} for a rest, received others")
    pitches = frames.astype(np.int16)
    before = np.vstack([np.full((1, pitches.shape[1]), REST, np.int16), pitches[:-1]])
    changes = pitches != before if attacks is None else (pitches != before) | attacks
    voices = [_notes(pitches[:, place], changes[:, place], place, resolution) for place in range(pitches.shape[1])]
    named = tuple(Voice(f"Voice {place + 1}") for place in range(pitches.shape[1]))
    return Piece(name, np.concatenate(voices), named).sorted()


def _notes(pitches: np.ndarray, changes: np.ndarray, voice: int, resolution: int) -> np.ndarray:
    starts = np.flatnonzero(changes)
    edges = np.append(starts, len(pitches)).astype(np.int64) * TICKS // resolution
    notes = np.empty(len(starts), NOTE)
    notes["onset"], notes["duration"] = edges[:-1], np.diff(edges)
    notes["pitch"], notes["velocity"], notes["voice"] = pitches[starts], USUAL_VELOCITY, voice
    return notes[notes["pitch"] != REST]
