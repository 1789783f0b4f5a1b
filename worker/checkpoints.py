"""Checkpoints of a training: written under the attempt, then recorded by a fenced write; the last two are kept."""

import json
from typing import TYPE_CHECKING, Any

from safetensors import safe_open
from safetensors.numpy import save

from shared import claims
from shared.errors import JobFailed, Unavailable
from shared.log import logger
from worker.callbacks import Checkpoint

if TYPE_CHECKING:
    from worker.desk import Desk

Json = dict[str, Any]
log = logger("checkpoints")


class Checkpoints:
    """Knows which checkpoint is the latest good one."""

    def __init__(self) -> None:
        self._latest: Json | None = None

    def save(self, desk: "Desk", checkpoint: Checkpoint) -> None:
        """Write the file, then make it the one to resume from."""
        content = save(checkpoint.arrays, metadata={"state": json.dumps(checkpoint.state)})
        key = f"{desk.folder}checkpoints/{checkpoint.epoch:06d}.safetensors"
        stored = desk.storage.put(key, [content])
        latest = {"at": {"epoch": checkpoint.epoch}, "key": key, "sha256": stored.sha256}
        before = self._latest and {**self._latest, "before": None}
        with desk.database.transaction() as sql:
            claims.record_checkpoint(sql, desk.claim, {**latest, "before": before})
        self._latest = latest

    def last(self, desk: "Desk") -> Checkpoint | None:
        """The newest recorded checkpoint whose bytes are whole; None: begin at the beginning."""
        recorded = desk.claim.checkpoint
        while recorded is not None:
            try:
                return self._open(desk, recorded)
            except (JobFailed, Unavailable) as unreadable:
                log.warning("checkpoint_unreadable", job=desk.claim.job_id, at=recorded["at"], why=unreadable.code)
                with desk.database.transaction() as sql:
                    claims.skip_checkpoint(sql, desk.claim, recorded, reason=unreadable.code)
            recorded = recorded["before"]
        return None

    def _open(self, desk: "Desk", recorded: Json) -> Checkpoint:
        path = desk.fetch(recorded["key"], name="checkpoint.safetensors", sha256=recorded["sha256"])
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 — it is no mapping
            state = json.loads(file.metadata()["state"])
        self._latest = {name: recorded[name] for name in ("at", "key", "sha256")}
        return Checkpoint(epoch=recorded["at"]["epoch"], arrays=arrays, state=state)
