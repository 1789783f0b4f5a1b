"""The memory of cards, as told by a program of the test's own in the place of the driver's: no card was at hand."""

import array
import fcntl
import os
import signal
import subprocess
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared import census, ids, workers
from shared.claims import Skills
from shared.database import Database
from shared.settings import Settings
from tests.waiting import until
from worker.device_memory import FIELDS, DeviceMemory, MiB, read, visible
from worker.memory_kills import MemoryKills
from worker.presence import Presence

CARD = "NVIDIA H100 80GB HBM3"
TOLD = {"index": 0, "name": CARD, "used_bytes": 1024 * MiB, "total_bytes": 81559 * MiB}


def line(
    index: int = 0, *, uuid: str = "", name: str = CARD, mig: str = "Disabled", memory: str = "1024, 81559"
) -> str:
    return f"{index}, {uuid or f'GPU-{index:08x}-1111'}, {name}, {mig}, {memory}\n"


EIGHT = "".join(line(index, memory=f"{index * 1000}, 81559") for index in range(8))


@pytest.fixture
def driver(tmp_path: Path) -> Callable[[str], Path]:
    """Puts a shell script where the driver's program would be."""

    def install(script: str) -> Path:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        # Put there whole: one that runs cannot be written to.
        new = tmp_path / "new"
        new.write_text(f"#!/bin/sh\necho $$ >>{tmp_path}/pids\n{script}\n")
        new.chmod(0o755)
        new.rename(program)
        return tmp_path / "pids"

    return install


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "ETUDE_ROOT_KEY": "7e57" * 16}


@pytest.fixture
def asked(environment: dict[str, str]) -> Iterator[DeviceMemory]:
    memory = DeviceMemory(environment, every_s=0.0)
    yield memory
    memory.every_s, memory.patience_s = float("inf"), 0.0
    # What still runs is ended, and heard of.
    assert until(lambda: memory.look() is not None and memory._asked is None)


def say(text: str) -> str:
    return f"cat <<'END'\n{text}END"


def told(memory: DeviceMemory, what: list[object]) -> None:
    assert until(lambda: memory.look() == what)


def test_a_card_is_told_with_its_memory_in_bytes(asked: DeviceMemory, driver: Callable[[str], Path]) -> None:
    driver(say(line()))

    # Who has asked has heard nothing yet, and does not wait for it.
    assert asked.look() == []
    told(asked, [TOLD])


def test_eight_cards_are_told_and_of_those_that_are_lost_nothing(
    asked: DeviceMemory, driver: Callable[[str], Path]
) -> None:
    driver(say(EIGHT))
    assert until(lambda: len(asked.look()) == 8)
    assert [each["used_bytes"] for each in asked.look()] == [index * 1000 * MiB for index in range(8)]

    lost = "Unable to determine the device handle for GPU0000:19:00.0: GPU is lost.  Reboot the system to recover\n"
    driver(say(EIGHT.replace(line(3, memory="3000, 81559"), lost)) + "\nexit 15")

    assert until(lambda: len(asked.look()) == 7)
    assert [each["index"] for each in asked.look()] == [0, 1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize(
    "script",
    [
        'echo "NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver."; exit 9',
        "exit 127",
        "kill -SEGV $$",
        "head -c 1000 /dev/urandom",
        "printf '0, GPU-00000000-1111, NVIDIA, Disabled, 1024, 815'",
        "echo 'No devices were found'; exit 6",
        say(line(memory="[N/A], [N/A]")),
        say(line(mig="Enabled")),
    ],
    ids=["no driver", "no library", "crash", "noise", "half a line", "no card", "not told", "in parts"],
)
def test_a_driver_that_goes_takes_its_figures_along(
    asked: DeviceMemory, driver: Callable[[str], Path], script: str
) -> None:
    driver(say(line()))
    told(asked, [TOLD])

    driver(script)
    told(asked, [])

    # And comes again.
    driver(say(line()))
    told(asked, [TOLD])


def test_a_driver_that_hangs_is_ended_and_its_figures_are_not_told_any_more(
    asked: DeviceMemory, driver: Callable[[str], Path]
) -> None:
    driver(say(line()))
    told(asked, [TOLD])
    pids = driver(say(line()) + "\nexec sleep 600")
    assert until(lambda: asked.look() == [TOLD] and asked._asked is not None and _sleeps(asked._asked.pid))

    asked.patience_s = 0.0
    told(asked, [])
    assert until(lambda: asked.look() == [] and not any(_sleeps(int(pid)) for pid in pids.read_text().split()[:-1]))


def _sleeps(pid: int) -> bool:
    try:
        return b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _is_full(asked: subprocess.Popen[bytes]) -> bool:
    """Whether as much lies in the pipe as it holds, but for less than a line a page."""
    assert asked.stdout is not None
    lies = array.array("i", [0])
    fcntl.ioctl(asked.stdout, termios.FIONREAD, lies)
    return lies[0] > 60_000


def test_no_second_one_is_sent_after_one_that_does_not_end(asked: DeviceMemory, driver: Callable[[str], Path]) -> None:
    pids = driver("kill -STOP $$")
    assert until(lambda: asked.look() == [] and pids.exists() and pids.read_text().endswith("\n"))

    for _ in range(50):
        assert asked.look() == []

    assert len(pids.read_text().split()) == 1


def test_more_than_a_pipe_holds_is_not_taken(asked: DeviceMemory, driver: Callable[[str], Path]) -> None:
    driver(say(line()))
    told(asked, [TOLD])
    driver(f"while :; do echo '{line(1).strip()}'; done")
    assert until(lambda: asked.look() == [TOLD] and asked._asked is not None and _is_full(asked._asked))

    asked.patience_s = 0.0

    told(asked, [])


def test_it_is_asked_no_more_often_than_it_may_be(environment: dict[str, str], driver: Callable[[str], Path]) -> None:
    pids = driver(say(line()))
    memory = DeviceMemory(environment, every_s=3600.0)

    told(memory, [TOLD])

    assert [memory.look() for _ in range(20)] == [[TOLD]] * 20
    assert len(pids.read_text().split()) == 1


def test_without_the_program_there_is_no_card(asked: DeviceMemory) -> None:
    assert [asked.look() for _ in range(3)] == [[]] * 3


def test_the_program_is_given_no_secret_and_asked_for_what_is_read(
    asked: DeviceMemory, driver: Callable[[str], Path], tmp_path: Path
) -> None:
    driver(f'env >{tmp_path}/env; echo "$@" >{tmp_path}/asked\n' + say(line()))
    told(asked, [TOLD])

    assert "ETUDE" not in (tmp_path / "env").read_text()
    assert (tmp_path / "asked").read_text().strip() == f"--query-gpu={FIELDS} --format=csv,noheader,nounits"


@pytest.mark.parametrize(
    "odd",
    [
        line(0).replace("0, ", "-1, ", 1),
        line(0).replace("GPU-", "UPG-"),
        line(0, name="x" * 101),
        line(0, name="a\x1b[31m"),
        line(0, memory="9, 8").replace("9, 8", "9"),
        "1, 2, 3\n",
        "٣, GPU-0, NVIDIA, Disabled, 1, 2\n",
        ",,,,,\n",
    ],
)
def test_what_is_no_line_of_a_card_is_passed_over(odd: str) -> None:
    assert [device.index for device in read(f"{odd}{line(1)}".encode())] == [1]


@pytest.mark.parametrize(
    "memory", ["2048, 1024", "0, 0", "1.5, 2", "1, 99999999999999", "[Insufficient Permissions], 1"]
)
def test_what_cannot_be_memory_is_not_told(memory: str) -> None:
    assert [device.memory for device in read(line(memory=memory).encode())] == [None]


def test_a_number_that_is_told_twice_is_one_card() -> None:
    assert [device.uuid for device in read((line(0, uuid="GPU-a") + line(0, uuid="GPU-b")).encode())] == ["GPU-a"]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (None, [0, 1, 2, 3]),
        ("", []),
        ("2", [2]),
        ("3, 1", [3, 1]),
        ("1,1", [1]),
        ("0,-1,2", [0]),
        ("9", []),
        ("NoDevFiles", []),
        ("GPU-00000002-1111", [2]),
        ("GPU-00000003", [3]),
        # The beginning of several.
        ("GPU-0", []),
        ("GPU-00000001,0", [1, 0]),
        ("MIG-1f5e1b1c-0b0e-5c8e-8a8e-7f8b8c8d8e8f", []),
        ("MIG-GPU-00000002-1111/1/0", []),
    ],
)
def test_the_cards_are_those_that_cuda_shows(named: str | None, expected: list[int]) -> None:
    devices = read("".join(line(index) for index in range(4)).encode())
    environment = {} if named is None else {"CUDA_VISIBLE_DEVICES": named}

    assert [device.index for device in visible(devices, environment)] == expected


def test_numbers_of_cards_that_differ_mean_those_of_the_bus_only_where_that_is_said() -> None:
    devices = read((line(0, name="NVIDIA T4") + line(1)).encode())

    assert visible(devices, {"CUDA_VISIBLE_DEVICES": "1"}) == []
    by_bus = {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert [device.index for device in visible(devices, by_bus)] == [1]
    assert [device.index for device in visible(devices, {"CUDA_VISIBLE_DEVICES": "GPU-00000001"})] == [1]


@pytest.fixture
def presence(settings: Settings, database: Database, asked: DeviceMemory) -> Presence:
    with database.transaction() as sql:
        workers.boot(sql, "train-1@here", boot=ids.new("boot"), queue="train", pid=os.getpid())
    return Presence(settings, "train-1@here", "train", lambda: Skills((), ()), MemoryKills(), asked, 45.0)


def test_a_beat_carries_the_memory_of_cards_and_the_census_has_it(
    presence: Presence, database: Database, settings: Settings, driver: Callable[[str], Path]
) -> None:
    driver(say(line(0) + line(1)))

    def found() -> list[census.Device]:
        presence._beat()
        with database.reading() as sql:
            return census.take(sql, settings).devices

    assert until(lambda: len(found()) == 2)

    assert found()[0] == census.Device("train-1@here", 0, TOLD["used_bytes"], TOLD["total_bytes"])


def test_a_driver_that_hangs_costs_no_beat(
    presence: Presence, database: Database, driver: Callable[[str], Path]
) -> None:
    pids = driver("exec sleep 600")

    def beat_at() -> float:
        presence._beat()
        with database.reading() as sql:
            return float(workers.every(sql)[0].beat_at)

    first = beat_at()
    assert until(lambda: pids.exists() and beat_at() > first)

    # Whatever it was killed by before it had told anything.
    os.kill(int(pids.read_text().split()[0]), signal.SIGKILL)
    assert beat_at() >= first
