"""One output, whoever does it: a scoring in chunks by two workers whose processes are killed at random."""

import dataclasses
import random
import time
from contextlib import suppress
from pathlib import Path

import psutil
from sqlalchemy import func, select

from shared import workers
from shared.chunks import DONE
from shared.jobs import SUCCEEDED
from shared.queue import TRAIN
from shared.tables import chunks, versions
from tests.faults.house import House
from tests.faults.test_interrupted import outputs_of, post_of, submit_job
from tests.worker import canonical, working

ROWS, CHUNK_ROWS, KILLS = 10_000, 50, 8


def start(house: House, slot: str) -> psutil.Process:
    """A training worker that is up."""
    started = house.start("worker.app", "--queue", TRAIN, "--slot", slot, ETUDE_CHUNK_ROWS=str(CHUNK_ROWS))
    process = psutil.Process(started.pid)

    def is_up() -> bool:
        with house.database.reading() as sql:
            pids = {row.name: row.pid for row in workers.every(sql)}
        return pids.get(workers.name_of(TRAIN, slot)) == process.pid and bool(process.children())

    house.wait(is_up)
    return process


def at_work(house: House, job: str) -> set[str]:
    """Who has done, or does, chunks of a job."""
    with house.database.reading() as sql:
        return set(sql.execute(select(chunks.c.worker).where(chunks.c.job == job)).scalars()) - {None}


def count_done(house: House, job: str) -> int:
    with house.database.reading() as sql:
        chosen = select(func.count()).select_from(chunks).where(chunks.c.job == job, chunks.c.state == DONE)
        return int(sql.execute(chosen).scalar_one())


def test_no_row_is_missing_or_there_twice_however_often_workers_are_killed(house: House, tmp_path: Path) -> None:
    # Every kill is noticed by the main process of the killed child; a lease that runs out because the machine is busy
    # would count as one loss more.
    house.settings = dataclasses.replace(house.settings, lease_s=30.0)
    house.scheduler()
    both = [start(house, slot) for slot in ("1", "2")]
    dataset = working.store_dataset(post_of(house), house.tenant, tmp_path)
    trained = submit_job(house, dataset, action="train", model="songs", params=working.SHORT)
    (tmp_path / "catalogue").mkdir()
    table = canonical.write(tmp_path / "catalogue", canonical.music(ROWS, seed=1), id="piece")
    catalogue = working.store_parts(post_of(house), house.tenant, *table)
    house.wait_for_end(trained)
    with house.database.reading() as sql:
        version = sql.execute(select(versions.c.id).where(versions.c.job == trained)).scalar_one()
    scoring = {"action": "score", "model": "songs", "version": version}
    alone = submit_job(house, catalogue, **scoring)
    house.wait_for_end(alone)
    chance, helped = random.Random(5), set[str]()

    killed = submit_job(house, catalogue, **scoring)
    house.wait(lambda: house.find(killed).state == SUCCEEDED or len(at_work(house, killed)) == len(both))
    done = 0
    for _ in range(KILLS):
        # A job whose worker is lost three times fails unless a chunk was done between: each kill waits for one that is
        # done after the kill before it, however long a busy machine takes for it.
        house.wait(lambda done=done: house.find(killed).state == SUCCEEDED or count_done(house, killed) > done)
        # Anywhere: within a chunk, between two, or while a new child begins.
        time.sleep(chance.uniform(0.05, 0.4))
        helped |= at_work(house, killed)
        for child in chance.choice(both).children():
            with suppress(psutil.NoSuchProcess):
                child.kill()
        done = count_done(house, killed)
    house.wait_for_end(killed)

    assert house.find(killed).state == SUCCEEDED, house.find(killed).error
    expected = outputs_of(house, alone)
    assert expected["predictions.parquet"][1] == ROWS
    assert outputs_of(house, killed) == expected
    assert helped == {workers.name_of(TRAIN, "1"), workers.name_of(TRAIN, "2")}
    assert "lost" in house.outcomes(killed)
    house.check_oracle()
