"""What the health checks of containers find wrong, and what they let pass."""

import os
import subprocess
import sys

import pytest
from sqlalchemy import update

from shared import pulse, workers
from shared.database import Database, now
from shared.settings import Settings
from shared.tables import jobs
from shared.tables import workers as slots
from tests.factories import claim, make_job
from tests.ports import free_port

NAME = workers.name_of("train", "1")


def boot(database: Database, pid: int) -> None:
    with database.transaction() as sql:
        workers.boot(sql, NAME, boot="boot_1", queue="train", pid=pid)


def hold_a_job(database: Database, tenant: str, *, silent_s: float) -> None:
    """Have the worker hold a job whose lease ran out so many seconds ago."""
    with database.transaction() as sql:
        make_job(sql, tenant)
        taken = claim(sql, worker=NAME)
        sql.execute(update(jobs).where(jobs.c.id == taken.job_id).values(lease_until=now() - silent_s))


def test_a_worker_that_is_there_and_idle_is_well(settings: Settings, database: Database) -> None:
    boot(database, os.getpid())

    with database.reading() as sql:
        assert pulse.worker(sql, settings, NAME) is None


def test_a_worker_that_never_booted_is_told(settings: Settings, database: Database) -> None:
    with database.reading() as sql:
        assert "has not booted" in str(pulse.worker(sql, settings, NAME))


def test_a_worker_whose_process_is_gone_is_told(settings: Settings, database: Database) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    boot(database, ended.pid)

    with database.reading() as sql:
        assert "is gone" in str(pulse.worker(sql, settings, NAME))


@pytest.mark.parametrize(("silent_s", "is_well"), [(2.0, True), (4.0, False)])
def test_an_idle_worker_must_beat_too(settings: Settings, database: Database, silent_s: float, is_well: bool) -> None:
    boot(database, os.getpid())
    with database.transaction() as sql:
        sql.execute(update(slots).values(beat_at=now() - silent_s))  # the lease of these settings is 3 s

    with database.reading() as sql:
        assert (pulse.worker(sql, settings, NAME) is None) == is_well


@pytest.mark.parametrize(("silent_s", "is_well"), [(-10.0, True), (1.0, False)])
def test_a_worker_must_beat_for_the_job_it_holds(
    settings: Settings, database: Database, tenant: str, silent_s: float, is_well: bool
) -> None:
    boot(database, os.getpid())
    hold_a_job(database, tenant, silent_s=silent_s)

    with database.reading() as sql:
        assert (pulse.worker(sql, settings, NAME) is None) == is_well


@pytest.mark.parametrize(("silent_s", "is_well"), [(0.5, True), (5.0, False)])
def test_the_scheduler_must_find_a_lost_job_within_a_lease_and_three_ticks(
    settings: Settings, database: Database, tenant: str, silent_s: float, is_well: bool
) -> None:
    hold_a_job(database, tenant, silent_s=silent_s)  # the lease of these settings is 3 s, a tick half a second

    with database.reading() as sql:
        assert (pulse.scheduler(sql, settings) is None) == is_well


def test_the_command_ends_with_a_sentence_when_web_does_not_answer() -> None:
    environment = {**os.environ, "ETUDE_PORT": str(free_port())}

    asked = subprocess.run(
        [sys.executable, "-m", "shared.pulse", "web"], env=environment, capture_output=True, text=True, check=False
    )

    assert asked.returncode == 1
    assert asked.stderr.startswith("The web process does not answer")
