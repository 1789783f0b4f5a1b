"""Whether a death was the kernel's for want of memory, by every file in which kernels count them."""

from pathlib import Path

import pytest

from worker import memory_kills
from worker.memory_kills import MemoryKills, find_counters


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(memory_kills.time, "monotonic", lambda: now[0])
    return now


def test_a_kill_is_told_for_a_while_and_not_for_ever(tmp_path: Path, clock: list[float]) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("low 0\noom 3\noom_kill 2\n")
    kills = MemoryKills([counter])

    assert not kills.is_recent()
    counter.write_text("low 0\noom 4\noom_kill 3\n")
    assert kills.is_recent()
    clock[0] += memory_kills.LATELY_S / 2
    assert kills.is_recent()
    clock[0] += memory_kills.LATELY_S
    assert not kills.is_recent()


def test_a_kill_that_was_looked_at_long_ago_explains_no_later_death(tmp_path: Path, clock: list[float]) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("oom_kill 0\n")
    kills = MemoryKills([counter])
    counter.write_text("oom_kill 1\n")

    kills.look()
    clock[0] += memory_kills.LATELY_S + 1

    assert not kills.is_recent()


@pytest.mark.parametrize("content", [None, "", "oom 5\n", "oom_kill many\n"])
def test_without_a_count_no_death_is_called_so(tmp_path: Path, content: str | None) -> None:
    counter = tmp_path / "memory.events"
    if content is not None:
        counter.write_text(content)

    assert not MemoryKills([counter]).is_recent()


@pytest.mark.parametrize(
    ("line", "counter"),
    [
        ("0::/etude/worker\n", "groups/etude/worker/memory.events"),
        ("7:memory:/etude\n0::/\n", "groups/memory/etude/memory.oom_control"),
        ("0::/of/the/host\n", "groups/memory.events"),
        ("7:cpu:/\n", "proc/vmstat"),
    ],
)
def test_the_count_is_found_in_either_version_of_control_groups(tmp_path: Path, line: str, counter: str) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(line)
    file = tmp_path / counter
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("oom_kill 1\n")
    kills = MemoryKills(find_counters(tmp_path / "proc", tmp_path / "groups"))

    file.write_text("oom_kill 2\n")

    assert kills.is_recent()
