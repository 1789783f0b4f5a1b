"""The child that reads pieces, with a reader of MIDI that some names drive mad; run in the sandbox by tests."""

import ctypes
import os
import time

from worker.symbolic import decode, midi
from worker.symbolic.piece import Piece


def read(content: bytes, name: str) -> Piece:
    act = name.rpartition("/")[2].rpartition(".")[0].partition("-")[0]
    if act == "crash":
        ctypes.string_at(0)
    elif act == "spin":
        while True:
            pass
    elif act == "allocate":
        os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
        os.abort()
    elif act == "hoard":
        bytearray(2**40)
    elif act == "raise":
        raise AssertionError("nobody has thought of this")
    elif act == "sleep":
        # Longer than any test gives a decoder: its parent is to end it.
        time.sleep(600)
    return midi.read(content, name)


def main() -> None:
    decode.PIECE_CPU_S = 1
    decode.READERS["midi"] = read
    decode.main()
