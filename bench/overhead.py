"""What beat, checkpoint and history cost a training of one-second epochs: the worker's own watch against none.

A checkpoint is saved after every epoch here; the service's default is one in ten seconds.
"""

import dataclasses
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.measurement import Measurement, compare
from bench.training import Silence
from migrations.upgrade import upgrade
from shared import claims, jobs, keys, settings
from shared.database import Database
from shared.jobs import NewJob
from shared.networks import Layer
from shared.queue import TRAIN
from shared.storage import Storage
from shared.table_params import TableTraining
from shared.tenancy import EVERYONE
from worker import device, training
from worker.callbacks import Watch
from worker.desk import Desk
from worker.heart import Heart
from worker.networks import NetworkSpec
from worker.training import Objective, Table

EPOCHS = 4
SPEC = NetworkSpec(64, 1, (Layer(units=128), Layer(units=64)), "sigmoid")
PARAMS = TableTraining(optimizer="adam", batch_size=32, epochs=EPOCHS)

SKILLS = claims.Skills(["train"], ["classification"])


def measure(rounds: int) -> list[Measurement]:
    device.prepare()
    table = _table(20_000)
    _fit(table, Silence())
    # As many rows as this machine trains in a second.
    table = _table(round(20_000 / (_fit(table, Silence()) / EPOCHS)))
    _fit(table, Silence())
    pairs = []
    for _ in range(rounds):
        # Mirrored, so that a machine that grows slower or faster meanwhile favours neither.
        watched, silent = _watched(table), _fit(table, Silence()) + _fit(table, Silence())
        pairs.append((watched + _watched(table), silent))
    note = (
        f"{EPOCHS} epochs of {pairs[0][1] / (2 * EPOCHS):.2f} s, a checkpoint and a row of history after each; SQLite"
    )
    name = "training with beat, checkpoint and history, against without"
    return [compare(name, pairs, unit="s", bar="≤ 1.03", note=note)]


def _watched(table: Table) -> float:
    with desk() as watch:
        return _fit(table, watch)


def _table(rows: int) -> Table:
    x = np.random.default_rng(0).normal(size=(rows, 64)).astype(np.float32)
    return Table(x, (x.sum(axis=1, keepdims=True) > 0).astype(np.float32))


def _fit(table: Table, watch: Watch) -> float:
    began = time.perf_counter()
    goal = Objective("binary_crossentropy", metrics=("accuracy",))
    training.fit(SPEC, goal, PARAMS, train=table, validation=None, watch=watch, checkpoint=None)
    return time.perf_counter() - began


@contextmanager
def desk() -> Iterator[Desk]:
    """A claimed job's desk with its heart beating, on a database and storage of its own."""
    with tempfile.TemporaryDirectory(prefix="etude-bench-") as folder:
        chosen = settings.read(
            {
                "ETUDE_HOME": folder,
                "ETUDE_PEPPER": "only good for measuring, and nothing else",
                "ETUDE_ROOT_KEY": "4e" * 32,
            }
        )
        chosen = dataclasses.replace(chosen, checkpoint_s=0.0)
        upgrade(chosen.database_url)
        database = Database(chosen, whose=EVERYONE)
        with database.transaction() as sql:
            tenant = keys.ensure_tenant(sql, "bench")
            params = PARAMS.model_dump(mode="json", exclude_unset=True)
            wanted = NewJob(tenant, action="train", kind="classification", queue=TRAIN, model="model", params=params)
            jobs.submit(sql, wanted)
            claim = claims.claim_next(sql, TRAIN, worker="bench", skills=SKILLS, lease_s=chosen.lease_s)
        assert claim is not None
        heart = Heart(database, claim, beat_s=chosen.beat_s, stall_s=chosen.stall_s)
        heart.start()
        try:
            yield Desk(chosen, database, Storage(chosen), claim, heart, Path(folder))
        finally:
            heart.stop()
            database.close()
