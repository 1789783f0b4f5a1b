"""Fault 15, and 16: the child dies at every point of a job's life, exhaustively."""

import pytest

from tests.faults.house import House
from tests.faults.points import BEAT, LIFE

POINTS = [f"{point}:{when}" for point in (*LIFE, BEAT) for when in ("before", "after")]
# From here on the job has ended, and a death costs nothing.
OVER = POINTS[POINTS.index("work:commit:6:after") : POINTS.index(f"{BEAT}:before")]
# Before the claim nobody knows of an attempt.
UNSEEN = ["work:commit:1:before"]


def test_15_the_list_of_points_is_complete(house: House) -> None:
    house.worker(FAULT_POINT="record")

    house.wait_for_end(house.submit(steps=2, is_rung=False), house.submit(steps=2))

    passed = (house.settings.home / "point").read_text().split()
    mine = [point for point in passed if point.startswith("work:")]
    assert mine[: 2 * len(LIFE)] == [f"{point}:{when}" for point in LIFE for when in ("before", "after")]


@pytest.mark.parametrize("point", POINTS)
def test_15_a_death_at_this_point_changes_nothing_but_the_time(house: House, point: str) -> None:
    house.worker(FAULT_POINT=point)
    # The beat comes half a second after the start.
    step_s = 0.6 if point.startswith(BEAT) else 0.0
    first, second = house.submit(steps=2, step_s=step_s, is_rung=False), house.submit(steps=2)

    house.wait((house.settings.home / "point").exists)
    # Not before: a tick would ring in place of the child that was to die of ringing.
    house.scheduler()
    house.wait_for_end(first, second)

    house.check(first, second)
    tried = house.outcomes(first) + house.outcomes(second)
    assert tried.count("succeeded") == 2
    assert tried.count("lost") == (0 if point in (*UNSEEN, *OVER) else 1)
    # What was recorded is what it went on from, not what lies in a folder.
    for before, after in zip(house.attempts(first), house.attempts(first)[1:], strict=False):
        recorded = [step for step in house.checkpoints(first) if step <= _steps_recorded(point)]
        assert before.outcome == "lost"
        assert (after.resumed_from or {"epoch": 0})["epoch"] == max(recorded, default=0)


def _steps_recorded(point: str) -> int:
    """How many checkpoints had been recorded at a point of the working thread."""
    if point.startswith(BEAT):
        return 0
    records = [POINTS.index("work:commit:3:after"), POINTS.index("work:commit:4:after")]
    return sum(POINTS.index(point) >= record for record in records)
