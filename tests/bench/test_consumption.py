"""What ended children used is counted, and the most memory is that of a moment."""

import subprocess
import sys
import time

import psutil
import pytest

from bench import consumption

# Forks a child that works and ends, works itself, says so, and waits.
WORKS = """
import os, sys, time
def work():
    while time.process_time() < 0.3: pass
if os.fork() == 0:
    work()
    os._exit(0)
os.wait()
work()
print("done", flush=True)
sys.stdin.read()
"""
GROWS = """
import sys
held = b"x" * 200_000_000
print("done", flush=True)
sys.stdin.readline()
del held
print("done", flush=True)
sys.stdin.read()
"""


def start(program: str) -> subprocess.Popen[str]:
    """The grandchild of a shell; returns once it has said something."""
    inner = '"$0" -c "$1"; true'
    command = ["/bin/sh", "-c", '/bin/sh -c "$2" "$0" "$1"; true', sys.executable, program, inner]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait(process)
    return process


def wait(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"


def test_the_work_of_children_and_of_those_that_ended_is_counted_once() -> None:
    with start(WORKS) as process:
        used = consumption.cpu_s(psutil.Process(process.pid))

        # A fork's own clock begins at 0: twice 0.3 s and what Python's start takes, in hundredths that are cut off.
        assert 0.55 <= used < 0.85
        process.communicate()


def test_a_process_that_is_gone_uses_nothing() -> None:
    with start("print('done', flush=True)") as process:
        root = psutil.Process(process.pid)
        process.communicate()

    assert consumption.cpu_s(psutil.Process()) > 0
    with pytest.raises(psutil.NoSuchProcess):
        consumption.cpu_s(root)


def test_the_most_memory_is_seen_although_it_was_given_back() -> None:
    with start(GROWS) as process:
        root = psutil.Process(process.pid)
        with consumption.watching(root) as most:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            wait(process)
            while consumption.held_mib(root) > 100:
                time.sleep(0.01)
            # Until what it holds now has been looked at too.
            time.sleep(3 * consumption.EVERY_S)

        assert 190 < most() < 300
        process.communicate()
