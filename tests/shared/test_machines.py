"""What a worker's machine can do is measured once, and estimates are told by it."""

import pytest

from shared import machines, workers
from shared.database import Database
from shared.expectation import AROUND_S, of_scoring
from shared.machines import FLOATS_PER_S, Machine
from worker import yardstick


def test_a_slot_is_measured_once_for_all_its_boots(database: Database) -> None:
    with database.transaction() as sql:
        workers.boot(sql, "train-1@here", boot="boot_1", queue="train", pid=1)
        assert not machines.is_measured(sql, "train-1@here")
        machines.note(sql, "train-1@here", Machine(2.0, 1e10))
        workers.boot(sql, "train-1@here", boot="boot_2", queue="train", pid=2)

        assert machines.is_measured(sql, "train-1@here")
        assert machines.usual(sql) == Machine(2.0, 1e10)


def test_a_slot_that_is_gone_is_not_measured(database: Database) -> None:
    with database.transaction() as sql:
        assert machines.is_measured(sql, "train-1@elsewhere")


def test_of_several_machines_the_one_in_the_middle_tells(database: Database) -> None:
    with database.transaction() as sql:
        assert machines.usual(sql) == Machine()
        for slot, pace in enumerate((1.0, 2.0, 9.0)):
            workers.boot(sql, f"train-{slot}@here", boot="boot", queue="train", pid=slot)
            machines.note(sql, f"train-{slot}@here", Machine(pace, pace * 1e10))
        # Workers of other queues train nothing.
        workers.boot(sql, "ingest-1@here", boot="boot", queue="ingest", pid=9)

        assert machines.usual(sql) == Machine(2.0, 2e10)


def test_a_machine_of_half_the_pace_and_a_tenth_of_the_arithmetic_takes_as_much_longer() -> None:
    slow = Machine(pace=2.0, floats_per_s=FLOATS_PER_S / 10)

    assert slow.seconds(AROUND_S, 3.0) == pytest.approx(2 * AROUND_S + 30.0)
    assert of_scoring(10**6, slow, rows=10**6).seconds > 5 * of_scoring(10**6, Machine(), rows=10**6).seconds


def test_the_yardstick_measures_this_machine() -> None:
    measured = yardstick.measure()

    # Whatever it is: no machine is a hundred times as fast as a small server, nor a thousand times as slow.
    assert 0.01 < measured.pace < 1000
    assert 1e8 < measured.floats_per_s < 1e15
