"""The child's work on pieces: opens what clients upload, and appends what it reads to two files (rule R23).

`headers.jsonl` has a line for what is begun and one for what came of it, `notes.bin` the notes of all as they lie in
memory: whatever ends this process, what it has finished can be used, and what it was at is known. It has no TensorFlow,
no database, no key and little memory.
"""

import errno
import json
import resource
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from worker import quarantined
from worker.symbolic import archive, bounds, grids, headers, midi, musicxml, mxl
from worker.symbolic.flaws import Flaw
from worker.symbolic.piece import Piece
from worker.symbolic.sniff import HEAD_BYTES, sniff

Json = dict[str, Any]  # Any: JSON
T = TypeVar("T")

HEADERS, NOTES = "headers.jsonl", "notes.bin"
READERS: dict[str, Callable[[bytes, str], Piece]] = {"midi": midi.read, "musicxml": musicxml.read, "mxl": mxl.read}
# The largest score that the other limits allow takes a third of it.
PIECE_CPU_S = 60
MOST_FILE_BYTES = 64 * bounds.MiB
# 1.1 GB of them; and as many pieces as a dataset of audio has tracks.
MOST_NOTES, MOST_PIECES = 50_000_000, 100_000
FULL = (errno.ENOSPC, errno.EDQUOT)
# The place of a file as a whole, before it is known what lies in it.
WHOLE = -1
PARTS = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}


class Task(NamedTuple):
    """One piece to be read: its place in its file, its key, the part that it is for, and how it is read."""

    place: int
    key: str
    part: str | None
    read: Callable[[], Piece]


def main() -> None:
    request = json.load(sys.stdin)
    try:
        decode(request)
        _tell({"done": {}})
    except OSError as cause:
        if cause.errno not in FULL:
            raise
        _tell({"failed": {"code": "disk_full"}})


def _tell(message: Json) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201 — the pipe to the parent


def decode(request: Json) -> None:
    """Read the files from number `first` on, and of that one what stands behind the place `after`.

    Of what stands at the places `shut` of a file, by its number, nothing is opened.
    """
    out, files, first = Path(request["out"]), request["files"], request["first"]
    with (out / HEADERS).open("x", encoding="utf-8") as lines, (out / NOTES).open("xb") as notes:
        log = _Log(lines, notes, total=len(files) - first, shut=request["shut"])
        for number in range(first, len(files)):
            if log.is_full:
                return
            after = request["after"] if number == first else WHOLE
            _read_file(log, number, files[number], after)


@dataclass
class _Log:
    """The two files that are written, and what is counted."""

    lines: IO[str]
    notes: IO[bytes]
    total: int
    shut: dict[str, list[int]]
    done: int = 0
    written: int = 0

    @property
    def is_full(self) -> bool:
        return self.done > MOST_PIECES or self.written > MOST_NOTES

    def attempt(self, file: int, task: Task, act: Callable[[], T]) -> T | None:
        """What comes of it, or None and a line that says why."""
        self._say({"file": file, "place": task.place, "key": task.key, "part": task.part})
        if task.place in self.shut.get(str(file), ()):
            self._refuse(Flaw(quarantined.CODE, quarantined.SAID))
            return None
        used = resource.getrusage(resource.RUSAGE_SELF)
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        soft = int(used.ru_utime + used.ru_stime) + PIECE_CPU_S
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
        try:
            return act()
        except Flaw as flaw:
            self._refuse(flaw)
        except MemoryError:
            self._refuse(Flaw("decoder_memory", "the file needs more memory than a decoder may use"))
        except OSError as cause:
            if cause.errno in FULL:
                raise
            self._refuse(_unforeseen(cause))
        except Exception as cause:
            # Of hostile bytes nobody knows all that they make a library raise; the other files are to be read still.
            self._refuse(_unforeseen(cause))
        return None

    def keep(self, piece: Piece) -> None:
        """Write down a piece, its notes first."""
        self.notes.write(piece.notes.tobytes())
        self.notes.flush()
        self.written += len(piece.notes)
        self._say({"header": headers.write(piece), "notes": len(piece.notes)})
        self._count()

    def _refuse(self, flaw: Flaw) -> None:
        self._say({"fault": [flaw.code, flaw.detail]})
        self._count()

    def _count(self) -> None:
        self.done += 1
        _tell({"progress": self.done, "total": max(self.total, self.done)})

    def _say(self, line: Json) -> None:
        self.lines.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        self.lines.flush()


def _unforeseen(cause: Exception) -> Flaw:
    return Flaw("decoder_crashed", f"the file made its reader fail: it is damaged ({type(cause).__name__})")


def _read_file(log: _Log, number: int, file: Json, after: int) -> None:
    path, name = Path(file["path"]), file["name"]
    with ExitStack() as held:
        whole = Task(WHOLE, name, _part(name), lambda: _whole(path, name))
        tasks = log.attempt(number, whole, lambda: _tasks(path, name, held))
        log.total += len(tasks or "x") - 1
        for task in tasks or ():
            if task.place <= after:
                continue
            piece = log.attempt(number, task, task.read)
            if piece is not None:
                log.keep(piece)
            if log.is_full:
                return


def _tasks(path: Path, name: str, held: ExitStack) -> list[Task]:
    """The pieces of a file, each to be read by itself. Raises Flaw."""
    with path.open("rb") as file:
        kind = sniff(file.read(HEAD_BYTES), name)
    if kind == "zip":
        tasks = _of_zip(path, name, held)
    elif kind == "npz":
        tasks = _of_npz(path, name)
    else:
        tasks = [Task(0, name, _part(name), lambda: _whole(path, name))]
    if not tasks:
        raise Flaw("dataset_empty", "expected pieces, received an archive without any")
    return tasks


def _whole(path: Path, name: str) -> Piece:
    size = path.stat().st_size
    if size > MOST_FILE_BYTES:
        said = f"expected at most {MOST_FILE_BYTES // bounds.MiB} MiB a piece, received {size:,} bytes"
        raise Flaw("piece_too_large", said)
    content = path.read_bytes()
    return READERS[sniff(content[:HEAD_BYTES], name)](content, name)


def _of_zip(path: Path, name: str, held: ExitStack) -> list[Task]:
    opened = held.enter_context(archive.opened(path))

    def task(place: int, entry: archive.Entry) -> Task:
        key = f"{name}/{entry.filename}"
        part = _part(entry.filename) or _part(name)
        return Task(place, key, part, lambda: _packed(archive.content(opened, entry), key))

    return [task(place, entry) for place, entry in enumerate(archive.files(opened))]


def _packed(content: bytes, key: str) -> Piece:
    kind = sniff(content[:HEAD_BYTES], key)
    if kind not in READERS:
        raise Flaw("archive_nested", "expected pieces in the archive, received another archive: upload it by itself")
    return READERS[kind](content, key)


def _of_npz(path: Path, name: str) -> list[Task]:
    def task(place: int, number: int, part: grids.Part) -> Task:
        folder = name if part.name is None else f"{name}/{part.name}"
        key = f"{folder}/{number}"
        return Task(place, key, part.name or _part(name), lambda: part.piece(number, key))

    listed = [(number, part) for part in grids.read(path) for number in range(len(part))]
    return [task(place, number, part) for place, (number, part) in enumerate(listed)]


def _part(name: str) -> str | None:
    """The part of a dataset that the topmost folder of a name is called after."""
    folder, slash, _ = name.partition("/")
    return PARTS.get(folder.lower()) if slash else None
