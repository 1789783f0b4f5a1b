"""Fault 28: the clock of a worker is ten minutes fast, or ten minutes slow."""

from pathlib import Path

from tests.faults.house import House

# A job's own lease, beats and deadline are moments of the database.
SHIFTS_S = {"1": 600.0, "2": -600.0}


def test_28_workers_whose_clocks_are_wrong_keep_their_leases(house: House, tmp_path: Path) -> None:
    """Two workers, one fast and one slow, each with a job that outlives its first lease, before a scheduler that reaps.

    With PostgreSQL every moment that counts is its server's. SQLite has no server: its julianday('now') reads the
    clock of the machine, in whichever process asks, and all of them share that machine with the file. So there the
    test holds only that nothing which Python reads from its clock reaches a lease; that two processes disagree about
    the machine's clock cannot happen.
    """
    house.scheduler()
    for slot, shift_s in SHIFTS_S.items():
        house.worker(slot, module="tests.faults.clock", FAULT_CLOCK_S=str(shift_s))
    free = tmp_path / "free"
    jobs = [house.submit(model=f"by worker {slot}", steps=2, held_at=1, free=str(free)) for slot in SHIFTS_S]

    house.wait(lambda: all(outlives_its_lease(house, job) for job in jobs))
    free.touch()
    rows = house.wait_for_end(*jobs)

    house.check(*jobs)
    assert [house.outcomes(job) for job in jobs] == [["succeeded"], ["succeeded"]]
    # Each of the two clocks was in use, and wrong.
    assert {round((row.result["clock"] - row.ended_at) / 600) for row in rows} == {1, -1}


def outlives_its_lease(house: House, job: str) -> bool:
    """Whether the job's attempt has gone on beating for longer than one lease."""
    return any(row.beat_at - row.started_at > house.settings.lease_s for row in house.attempts(job))
