"""A service whose workers have a core each, with a trained model, and tables that were stored without their upload."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv
from sqlalchemy import Row, insert, select

from bench.scoring import COLUMNS, NAMES, status_mib
from bench.service import Json, Service, running
from shared import ids, settings
from shared.database import Database
from shared.storage import Storage, dataset_folder
from shared.tables import datasets, jobs
from shared.tenancy import EVERYONE
from worker import desk, partial

TRAINED_ROWS = 2_000
LAYERS = [{"units": 128, "activation": "relu"}, {"units": 64, "activation": "relu"}]
MODEL = "genre"

# A stored file and, of a large one, its digests: what a dataset says of it, by the end of its name.
Part = dict[str, Json]


@dataclass
class Crew:
    """A running service; `like` is the row of the dataset that its model was trained on."""

    service: Service
    database: Database
    storage: Storage
    like: Row[object]

    def store(self, path: Path) -> Part:
        """The file in storage, as an ingest leaves it."""
        folder = f"{dataset_folder(self.like.tenant, ids.new('ds'))}parts/1/"
        stored = {desk.PART_SUFFIX: self.storage.put_file(folder + path.name, path)}
        keys = {desk.PART_SUFFIX: folder + path.name}
        if path.stat().st_size >= partial.FROM_BYTES:
            suffix = desk.PART_SUFFIX + desk.DIGESTS_SUFFIX
            keys[suffix] = keys[desk.PART_SUFFIX] + desk.DIGESTS_SUFFIX
            stored[suffix] = self.storage.put(keys[suffix], [partial.digests(path)])
        return {suffix: {"key": keys[suffix], **vars(each)} for suffix, each in stored.items()}

    def score(self, part: Part, *, times: int = 1) -> float:
        """Seconds from start to end of a scoring of a file's rows, so many times over."""
        parts = [
            {"name": f"part-{place:05}{suffix}", **said} for place in range(times) for suffix, said in part.items()
        ]
        dataset = ids.new("ds")
        with self.database.transaction() as sql:
            values = {**self.like._mapping, "id": dataset, "name": dataset, "parts": parts}
            sql.execute(insert(datasets).values(values))
        wanted = {"action": "score", "model": MODEL, "dataset": dataset, "params": {"formats": ["parquet"]}}
        job = self.service.submit(wanted)
        self.service.finish(job)
        with self.database.reading() as sql:
            row = sql.execute(select(jobs.c.started_at, jobs.c.ended_at).where(jobs.c.id == job)).one()
        return float(row.ended_at - row.started_at)

    def peak_mib(self, part: Part, *, times: int = 1) -> float:
        """The most that a new child of the first worker has held when it has scored.

        By the kernel's own mark: who looks now and then sees the more of the peaks the longer a job takes.
        """
        self.service.renew_child()
        child = self.service.training_child()
        self.score(part, times=times)
        return status_mib(child.pid, "VmHWM")


@contextmanager
def working(workers: int, *, columns: int = COLUMNS, **environment: str) -> Iterator[Crew]:
    """A crew of so many workers, with a model of so many columns."""
    with running(ETUDE_WORKERS=str(workers), **environment) as service:
        cores = sorted(os.sched_getaffinity(0))
        for place in range(workers):
            _pin(service.process(f"worker-{place + 1}"), cores[place % len(cores)])
        service.renew_child()
        chosen = settings.read({"ETUDE_HOME": str(service.home), "ETUDE_PEPPER": "x" * 32})
        database = Database(chosen, whose=EVERYONE)
        small = service.upload("trained", _table(columns), target=MODEL)
        params = {"hidden": LAYERS, "epochs": 2, "batch_size": 256, "baselines": False}
        wanted = {"action": "train", "kind": "classification", "dataset": small, "model": MODEL, "params": params}
        service.finish(service.submit(wanted))
        with database.reading() as sql:
            like = sql.execute(select(datasets).where(datasets.c.id == small)).one()
        yield Crew(service, database, Storage(chosen), like)
        database.close()


def _pin(worker: psutil.Process, core: int) -> None:
    """Every thread of a worker, and so every child that it will have, to one core."""
    for process in [worker, *worker.children(recursive=True)]:
        for thread in process.threads():
            os.sched_setaffinity(thread.id, {core})


def _table(columns: int) -> bytes:
    random = np.random.default_rng(1)
    numbers = random.normal(3, 2, (TRAINED_ROWS, columns))
    said = {MODEL: np.where(numbers[:, 0] + random.normal(size=TRAINED_ROWS) > 3, "rock", "pop")}
    out = io.BytesIO()
    pyarrow.csv.write_csv(pa.table({**dict(zip(NAMES[:columns], numbers.T, strict=True)), **said}), out)
    return out.getvalue()
