"""How much memory a worker takes: a child's is counted, what is shared is not counted twice."""

import os
import subprocess
import sys

from tests.waiting import until
from worker import footprint

GROWN = 64 * 2**20
PROGRAM = f"held = bytearray(b'x' * {GROWN})\nprint('held', flush=True)\ninput()"


def test_a_childs_memory_is_counted_while_it_lives() -> None:
    before = footprint.memory_bytes()
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"held\n"
        during = footprint.memory_bytes()
        child.communicate(b"\n")

    assert during - before > GROWN
    assert until(lambda: footprint.memory_bytes() - before < GROWN)


def test_what_a_fork_shares_is_counted_once() -> None:
    held = bytearray(os.urandom(1) * GROWN)
    before = footprint.memory_bytes()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reading, 1)
        os._exit(0)

    during = footprint.memory_bytes()
    os.write(writing, b"x")
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)

    assert len(held) == GROWN and during - before < GROWN // 2
