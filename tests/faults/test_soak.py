"""A minute of the soak (34); `make soak` does ten."""

from tests.faults.__main__ import run
from tests.faults.house import House


def test_34_after_a_minute_of_kills_no_job_is_lost_and_none_is_doubled(house: House) -> None:
    report = run(house, minutes=1.0, seed=34)

    assert (report.lost, report.doubled, report.wrong) == ([], [], []), report.table()
    # It was a soak, and no stroll.
    assert report.redis_kills == 1 and sum(report.kills.values()) >= 10
    assert report.attempts["lost"] >= 3
