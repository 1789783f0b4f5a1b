"""What the confined child does: the plan and then the file on standard input, frames on standard output."""

import io
import os
import sys
from dataclasses import asdict

from shared.masking import frames, plan, table
from shared.masking.table import Refused

# Many rows, and little memory.
PIECE_CHARACTERS = 256 * 1024


def main() -> None:
    sys.tracebacklimit = 0
    source = io.FileIO(0, closefd=False)
    pieces = Pieces()
    try:
        rows = table.mask(source, plan.read(_line(source)), pieces.write)
        pieces.flush()
        _say(frames.end(frames.DONE, {"rows": rows}))
    except Refused as refused:
        faults = [asdict(fault) for fault in refused.faults]
        _say(frames.end(frames.FAILED, {"code": refused.code, "faults": faults, "total": refused.total}))


class Pieces:
    """Gathers rows, for a frame a row would be mostly heads."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._length = 0

    def write(self, row: str) -> None:
        self._held.append(row)
        self._length += len(row)
        if self._length >= PIECE_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        content = memoryview("".join(self._held).encode())
        for first in range(0, len(content), PIECE_CHARACTERS):
            _say(frames.piece(bytes(content[first : first + PIECE_CHARACTERS])))
        self._held, self._length = [], 0


def _line(source: io.FileIO) -> bytes:
    """Up to the first line break and not a byte further: what follows is the file."""
    line = bytearray()
    while not line.endswith(b"\n"):
        sign = source.read(1)
        if not sign:
            sys.exit("no plan came")
        line += sign
    return bytes(line)


def _say(frame: bytes) -> None:
    left = memoryview(frame)
    while left:
        left = left[os.write(1, left) :]
