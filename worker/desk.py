"""What an attempt has at hand: its claim, its beat, the storage, the data of its job, and a place for scratch files."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from shared import datasets, history, jobs, storage
from shared.database import Database
from shared.errors import JobFailed, Unavailable
from shared.jobs import Claim
from shared.log import logger
from shared.settings import Settings
from shared.storage import Storage
from worker.callbacks import Checkpoint
from worker.heart import Heart

Json = dict[str, Any]
log = logger("desk")


@dataclass
class Desk:
    """One attempt's means; it is also the Watch that a training talks to."""

    settings: Settings
    database: Database
    storage: Storage
    claim: Claim
    heart: Heart
    scratch: Path
    _saved_at: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> str:
        """Where this attempt writes, and nobody else."""
        return storage.attempt_folder(self.claim.tenant, self.claim.job_id, self.claim.fence)

    def enter(self, stage: str) -> None:
        """Say which stage begins; leave instead, if that is asked."""
        self.heart.check()
        with self.database.transaction() as sql:
            jobs.enter(sql, self.claim, stage)

    def warn(self, warnings: Sequence[Json]) -> None:
        """Note warnings as events, so that a client sees them before the job ends."""
        if not warnings:
            return
        with self.database.transaction() as sql:
            for warning in warnings:
                history.note(sql, self.claim.job_id, "warning", warning)

    def dataset_rows(self) -> list[Row[Any]]:
        """The rows of the job's datasets, in the order in which they were named."""
        with self.database.reading() as sql:
            if any(datasets.is_erased(sql, dataset) for dataset in self.claim.datasets):
                raise erased()
            return [datasets.find(sql, self.claim.tenant, dataset) for dataset in self.claim.datasets]

    def fetch(self, key: str, *, name: str, sha256: str) -> Path:
        """Copy a stored file into the scratch folder and verify its content."""
        path = self.storage.fetch(key, self.scratch / name)
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise JobFailed(f"The stored file {name} is not what was written: restore it.", code="integrity")
        return path

    def put(self, name: str, content: bytes | Path, *, rows: int | None = None) -> Json:
        """Store a file of this attempt; it counts only once the finishing transaction names it."""
        key = f"{self.folder}files/{name}"
        stored = self.storage.put_file(key, content) if isinstance(content, Path) else self.storage.put(key, [content])
        said = {"name": name, "key": key, "size_bytes": stored.size_bytes, "sha256": stored.sha256}
        return said if rows is None else {**said, "rows": rows}

    # The Watch of worker/callbacks.py

    def report(self, epochs: list[dict[str, float]], *, total: int) -> None:
        last = epochs[-1]
        shown = {name: value for name, value in last.items() if name != "epoch"}
        done = int(last["epoch"])
        self.heart.report(self._progress(done, total, "epochs", metrics=shown), epochs)

    def report_rows(self, done: int, total: int) -> None:
        """Take the progress of a stage that counts rows; leave instead, if that is asked."""
        self.heart.check()
        self.heart.report(self._progress(done, total, "rows"))

    def check(self) -> None:
        self.heart.check()

    def is_checkpoint_due(self) -> bool:
        return time.monotonic() - self._saved_at >= self.settings.checkpoint_s

    def is_budget_spent(self) -> bool:
        granted = self.claim.budget.get("compute_seconds")
        return granted is not None and self.heart.cost()["compute_s"] >= granted

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint under this attempt, then make it the one to resume from; the one before stays beside it."""
        from safetensors.numpy import save  # only a worker that trains has arrays to save

        content = save(checkpoint.arrays, metadata={"state": json.dumps(checkpoint.state)})
        key = f"{self.folder}checkpoints/{checkpoint.epoch:06d}.safetensors"
        stored = self.storage.put(key, [content])
        latest = {"at": {"epoch": checkpoint.epoch}, "key": key, "sha256": stored.sha256}
        before = self._latest
        with self.database.transaction() as sql:
            jobs.record_checkpoint(sql, self.claim, {**latest, "before": before and {**before, "before": None}})
        self._latest = latest
        self._saved_at = time.monotonic()

    def last_checkpoint(self) -> Checkpoint | None:
        """The newest recorded checkpoint whose bytes are whole, or None to begin at the beginning."""
        recorded = self.claim.checkpoint
        while recorded is not None:
            try:
                return self._open_checkpoint(recorded)
            except (JobFailed, Unavailable) as unreadable:
                log.warning("checkpoint_unreadable", job=self.claim.job_id, at=recorded["at"], why=unreadable.code)
            recorded = recorded["before"]
        return None

    _latest: Json | None = None

    def _open_checkpoint(self, recorded: Json) -> Checkpoint:
        from safetensors import safe_open

        path = self.fetch(recorded["key"], name="checkpoint.safetensors", sha256=recorded["sha256"])
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 — not a mapping
            state = json.loads(file.metadata()["state"])
        self._latest = recorded
        return Checkpoint(epoch=recorded["at"]["epoch"], arrays=arrays, state=state)

    def _progress(self, done: int, total: int, unit: str, metrics: Json | None = None) -> Json:
        spent = time.monotonic() - self._stage_began(unit, total, done)
        since = done - self._first_done
        eta = None if since <= 0 else round(spent / since * (total - done), 1)
        return {"done": done, "total": total, "unit": unit, "eta_s": eta, "metrics": metrics or {}}

    _stage: tuple[str, int] | None = None
    _first_done = 0
    _began = 0.0

    def _stage_began(self, unit: str, total: int, done: int) -> float:
        if self._stage != (unit, total):
            self._stage, self._first_done, self._began = (unit, total), done, time.monotonic()
        return self._began


def erased() -> JobFailed:
    return JobFailed("A dataset of the job was erased while it waited or ran.", code="dataset_erased")
