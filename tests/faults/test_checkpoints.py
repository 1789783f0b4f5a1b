"""The newest checkpoint is not what was written: fault 30."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from shared.tables import events
from tests.faults.house import House, child_of

SLOW = {"steps": 12, "step_s": 0.15}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def stop_in_the_middle(house: House) -> str:
    """A job that has some checkpoints, and nobody who works on it."""
    worker = house.worker()
    job = house.submit(**SLOW)
    house.wait(lambda: len(house.checkpoints(job)) >= 4)
    child = child_of(worker)
    worker.kill()
    child.kill()
    return job


def file_of(house: House, checkpoint: dict[str, str]) -> Path:
    return Path(house.settings.storage_url.removeprefix("file://")) / checkpoint["key"]


def skipped(house: House, job: str) -> list[dict[str, object]]:
    with house.database.reading() as sql:
        told = select(events.c.data).where(events.c.job == job, events.c.type == "checkpoint_unreadable")
        return list(sql.execute(told.order_by(events.c.seq)).scalars())


@pytest.mark.parametrize("harm", [truncate, flip_a_bit, Path.unlink])
def test_30_a_spoilt_checkpoint_is_told_once_and_the_one_before_it_is_used(
    house: House, harm: Callable[[Path], None]
) -> None:
    job = stop_in_the_middle(house)
    newest = house.find(job).checkpoint
    harm(file_of(house, newest))

    house.worker()
    house.wait_for_end(job)

    assert [told["at"] for told in skipped(house, job)] == [newest["at"]]
    assert house.attempts(job)[1].resumed_from == newest["before"]["at"] == {"epoch": newest["at"]["epoch"] - 1}
    house.check(job)


def test_30_with_both_checkpoints_spoilt_the_job_begins_again(house: House) -> None:
    job = stop_in_the_middle(house)
    newest = house.find(job).checkpoint
    for spoilt in (newest, newest["before"]):
        truncate(file_of(house, spoilt))

    house.worker()
    house.wait_for_end(job)

    assert [told["at"] for told in skipped(house, job)] == [newest["at"], newest["before"]["at"]]
    assert house.attempts(job)[1].resumed_from is None
    house.check(job)
