"""A worker's post in a test: a dataset in storage, a job in the queue, and a thread that does it."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from shared import jobs, workers
from shared import storage as places
from shared.claims import Claim
from shared.database import Database
from shared.storage import Storage
from shared.tables import attempts, events, versions
from shared.tables import jobs as job_table
from tests import factories
from tests.worker import canonical
from worker import partial, runner
from worker.runner import Post

LIMIT_S = 60.0
# Epochs beyond any test's patience: such a training ends only by what the test does to it.
ENDLESS = {"epochs": 100_000, "batch_size": 1, "early_stopping": False, "hidden": [{"units": 4}], "baselines": False}
SHORT = {"epochs": 3, "hidden": [{"units": 4}], "baselines": False}

Json = dict[str, Any]


def make_post(settings: Any, database: Database, storage: Storage, *, worker: str = "worker-1") -> Post:
    """A post whose slot has booted."""
    with database.transaction() as sql:
        workers.boot(sql, worker, boot=worker, queue="train", pid=1)
    return Post(settings, database, storage, worker)


def store_dataset(post: Post, tenant: str, folder: Path, *, rows: int = 60) -> str:
    """A ready dataset of songs with its canonical part in storage."""
    return store_table(post, tenant, folder, canonical.music(rows), target=["genre"], id="piece")


def store_table(post: Post, tenant: str, folder: Path, columns: Mapping[str, Any], **roles: Any) -> str:
    """A ready dataset of these columns."""
    return store_parts(post, tenant, *canonical.write(folder, columns, **roles))


def store_parts(post: Post, tenant: str, paths: list[Path], profile: Json, **values: Any) -> str:
    """A ready dataset of these canonical files."""
    with post.database.transaction() as sql:
        dataset = factories.make_dataset(sql, tenant, profile=profile, rows=profile["rows"], **values)
        parts = []
        for path in paths:
            key = f"{places.dataset_folder(tenant, dataset)}parts/1/{path.name}"
            stored = post.storage.put_file(key, path)
            parts.append({"name": path.name, "key": key, "size_bytes": stored.size_bytes, "sha256": stored.sha256})
            if stored.size_bytes >= partial.FROM_BYTES:
                digests = post.storage.put(f"{key}.digests", [partial.digests(path)])
                named = {"name": f"{path.name}.digests", "key": f"{key}.digests", "sha256": digests.sha256}
                parts.append({**named, "size_bytes": digests.size_bytes})
        sql.execute(factories.datasets.update().where(factories.datasets.c.id == dataset).values(parts=parts))
    return dataset


def submit(post: Post, tenant: str, dataset: str, **values: Any) -> str:
    """A training of that dataset in the queue."""
    with post.database.transaction() as sql:
        return factories.make_job(sql, tenant, datasets=[dataset], **{"params": SHORT, **values})


class Working:
    """The queue's best job under way in a thread."""

    def __init__(self, post: Post, *, only_tenant: str | None = None, queue: str = "train") -> None:
        self.claim: Claim | None = None
        self._post, self._only, self._queue = post, only_tenant, queue
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.claim = runner.run(self._post, self._queue, only_tenant=self._only)

    def join(self) -> Claim | None:
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive(), "the job did not end in time"
        return self.claim


def wait(is_true: Callable[[], Any]) -> Any:
    """Return what `is_true` says once it is true."""
    until = time.monotonic() + LIMIT_S
    while not (found := is_true()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
    return found


def wait_for_epochs(post: Post, job: str) -> None:
    """Return once the job has told of epochs."""
    wait(lambda: (find(post, job).progress or {}).get("unit") == "epochs")


def find(post: Post, job: str) -> Row[Any]:
    with post.database.reading() as sql:
        return sql.execute(select(job_table).where(job_table.c.id == job)).one()


def outcomes(post: Post, job: str) -> list[str | None]:
    with post.database.reading() as sql:
        chosen = select(attempts.c.outcome).where(attempts.c.job == job).order_by(attempts.c.number)
        return list(sql.execute(chosen).scalars())


def made(post: Post, job: str) -> list[Row[Any]]:
    """The model versions of a job."""
    with post.database.reading() as sql:
        return list(sql.execute(select(versions).where(versions.c.job == job)).all())


def stages(post: Post, job: str) -> list[str]:
    with post.database.reading() as sql:
        rows = sql.execute(select(events.c.data).where(events.c.job == job).order_by(events.c.seq)).scalars()
        return [data["stage"] for data in rows if "stage" in data]


def cancel(post: Post, tenant: str, job: str, *, keep: str | None = None) -> None:
    with post.database.transaction() as sql:
        jobs.cancel(sql, tenant, job, keep=keep)
