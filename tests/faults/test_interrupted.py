"""Interrupted is uninterrupted: the same bytes come out, however often the worker was killed: faults 31 and 32."""

import random
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import delete, select

from shared import workers
from shared.jobs import NewJob, submit
from shared.queue import TRAIN
from shared.tables import features, outputs, versions
from tests.faults.house import House, child_of
from tests.waiting import until
from tests.worker import canonical, chorales, recorded, scores, working
from worker.extractors import EAR
from worker.runner import Post

# All that a checkpoint must hold: random state of dropout, optimizer slots, a falling rate, the patience of two rules.
TRAINING = {
    "hidden": [{"units": 16, "dropout": 0.3, "batch_normalization": True}, {"units": 8, "dropout": 0.2}],
    "epochs": 16, "batch_size": 1, "seed": 5, "optimizer": "adamw", "baselines": False,
    "learning_rate": {"schedule": "plateau", "initial": 0.01, "patience": 2},
    "early_stopping": {"patience": 9},
}  # fmt: skip
KILLS = 20
ROWS, PART_ROWS = 10_000, 200


@pytest.fixture
def rows_file(house: House) -> Path:
    return house.settings.home / "rows"


@pytest.fixture
def worker(house: House, rows_file: Path) -> psutil.Process:
    house.scheduler()
    started = house.start("tests.faults.pipeline_worker", FAULT_ROWS=str(rows_file), ETUDE_CHECKPOINT_S="0")
    process = psutil.Process(started.pid)
    house.wait(lambda: started.poll() is None and is_up(house, process))
    return process


def is_up(house: House, process: psutil.Process) -> bool:
    with house.database.reading() as sql:
        pids = {row.name: row.pid for row in workers.every(sql)}
    return pids.get(workers.name_of(TRAIN, "1")) == process.pid and bool(process.children())


def post_of(house: House) -> Post:
    return Post(house.settings, house.database, house.storage, "nobody")


def submit_job(house: House, dataset: str, *, kind: str = "classification", **values: Any) -> str:
    wanted = NewJob(tenant=house.tenant, kind=kind, queue=TRAIN, datasets=[dataset], **values)
    with house.database.transaction() as sql:
        return str(submit(sql, wanted).id)


def test_31_a_training_killed_three_times_ends_in_the_same_bytes(
    house: House, worker: psutil.Process, tmp_path: Path
) -> None:
    dataset = working.store_dataset(post_of(house), house.tenant, tmp_path, rows=2000)
    alone = submit_job(house, dataset, action="train", model="alone", params=TRAINING)
    house.wait_for_end(alone)

    killed = submit_job(house, dataset, action="train", model="killed", params=TRAINING)
    for kills in (1, 2, 3):
        # Its own last checkpoint lies behind what it resumed from: it has got on since the last time.
        house.wait(lambda kills=kills: len(set(house.checkpoints(killed))) >= 3 * kills)
        child_of(worker).kill()
        house.wait(lambda kills=kills: house.outcomes(killed)[:kills] == ["lost"] * kills)
    house.wait_for_end(killed)

    assert house.outcomes(killed) == ["lost", "lost", "lost", "succeeded"]
    assert all(attempt.resumed_from for attempt in house.attempts(killed)[1:])
    assert weights_of(house, killed) == weights_of(house, alone)
    said = {job: house.find(job).result for job in (alone, killed)}
    assert all(said[killed][name] == said[alone][name] for name in ("epochs", "best_epoch", "stopped_by", "metrics"))
    house.check_oracle()


def test_31_so_does_a_training_on_scores(house: House, worker: psutil.Process, tmp_path: Path) -> None:
    songs = {f"{seed}.mid": chorales.chorale(seed, name=f"{seed}.mid") for seed in range(12)}
    dataset = scores.store(post_of(house), house.tenant, tmp_path, songs)
    params = {**scores.SMALL, "epochs": 40}
    alone = submit_job(house, dataset, kind="generation", action="train", model="alone", params=params)
    house.wait_for_end(alone)

    killed = submit_job(house, dataset, kind="generation", action="train", model="killed", params=params)
    for kills in (1, 2, 3):
        house.wait(lambda kills=kills: len(set(house.checkpoints(killed))) >= 3 * kills)
        child_of(worker).kill()
        house.wait(lambda kills=kills: house.outcomes(killed)[:kills] == ["lost"] * kills)
    house.wait_for_end(killed)

    assert house.outcomes(killed) == ["lost", "lost", "lost", "succeeded"]
    assert weights_of(house, killed) == weights_of(house, alone)
    assert house.find(killed).result["metrics"] == house.find(alone).result["metrics"]
    house.check_oracle()


def weights_of(house: House, job: str) -> str:
    with house.database.reading() as sql:
        files = sql.execute(select(versions.c.files).where(versions.c.job == job)).scalar_one()
    return next(str(file["sha256"]) for file in files if file["name"].endswith(".safetensors"))


def test_32_a_scoring_killed_anywhere_writes_the_same_bytes(
    house: House, worker: psutil.Process, rows_file: Path, tmp_path: Path
) -> None:
    post = post_of(house)
    dataset = working.store_dataset(post, house.tenant, tmp_path)
    trained = submit_job(house, dataset, action="train", model="songs", params=working.SHORT)
    (tmp_path / "catalogue").mkdir()
    table = canonical.write(tmp_path / "catalogue", canonical.music(ROWS, seed=1), id="piece", part_rows=PART_ROWS)
    catalogue = working.store_parts(post, house.tenant, *table)
    house.wait_for_end(trained)
    with house.database.reading() as sql:
        version = sql.execute(select(versions.c.id).where(versions.c.job == trained)).scalar_one()
    scoring = {"action": "score", "model": "songs", "version": version}

    alone = submit_job(house, catalogue, **scoring)
    house.wait_for_end(alone)
    places_to_die = random.Random(32).sample(range(PART_ROWS, ROWS, PART_ROWS), KILLS)
    killed = []
    for rows in places_to_die:
        rows_file.write_text(str(rows))
        killed.append(submit_job(house, catalogue, **scoring))
        house.wait_for_end(killed[-1])

    assert [house.outcomes(job) for job in killed] == [["lost", "succeeded"]] * KILLS
    expected = outputs_of(house, alone)
    assert expected["predictions.parquet"][1] == ROWS
    assert all(outputs_of(house, job) == expected for job in killed)
    house.check_oracle()


def test_32_recordings_are_heard_to_the_same_bytes_wherever_the_worker_is_killed(
    house: House, worker: psutil.Process, rows_file: Path, tmp_path: Path
) -> None:
    files = {f"{place}.wav": recorded.write(tmp_path / f"{place}.wav", 200.0 + 40 * place) for place in range(8)}
    row, _ = recorded.ingest(post_of(house), house.tenant, files)
    params = {"include": ["tags", "embedding"], "over_time": True, "similar": {"k": 2}}
    wanted = {"action": "score", "kind": "analysis", "model": "etude.tagger-mtt",
              "version": "ver_0etude_tagger_mtt_1", "params": params}  # fmt: skip

    alone = submit_job(house, row.id, **wanted)
    house.wait_for_end(alone)
    killed = []
    for tracks in (1, 4, 8):
        forget_what_was_heard(house)
        rows_file.write_text(str(tracks))
        killed.append(submit_job(house, row.id, **wanted))
        house.wait_for_end(killed[-1])

    assert [house.outcomes(job) for job in killed] == [["lost", "succeeded"]] * 3
    expected = outputs_of(house, alone)
    assert expected["predictions.parquet"][1] == 8 and expected["files.zip"][1] == 8
    assert all(outputs_of(house, job) == expected for job in killed)
    # Of another test, which kills a child just now, there may be one for a moment.
    assert until(lambda: orphaned_ears() == [])
    house.check_oracle()


def orphaned_ears() -> list[int]:
    """Processes that hear for a child which is gone, whosever it was."""
    every = psutil.process_iter(["cmdline", "ppid"])
    ears = [process for process in every if "worker.audio.ear" in (process.info["cmdline"] or [])]
    return [process.pid for process in ears if process.info["ppid"] == 1]


def forget_what_was_heard(house: House) -> None:
    with house.database.transaction() as sql:
        gone = delete(features).where(features.c.extractor != EAR).returning(features.c.key)
        keys = sql.execute(gone).scalars().all()
    for key in keys:
        house.storage.delete(key)


def outputs_of(house: House, job: str) -> dict[str, tuple[str, int]]:
    with house.database.reading() as sql:
        return {row.name: (row.sha256, row.rows) for row in sql.execute(select(outputs).where(outputs.c.job == job))}
