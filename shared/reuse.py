"""Which earlier job did the same: asked for with `reuse`, it answers instead of a new one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from shared import datasets, sealed_columns
from shared.code import CODE_VERSION
from shared.jobs import FINGERPRINT, SUCCEEDED, NewJob
from shared.tables import jobs, outputs, versions
from shared.tuning_params import TUNE

# Of one fingerprint: the last ones, should the files of some be gone.
LOOKED_AT = 10
MAKE_A_VERSION = ("train", TUNE)
# Their result is all that they make.
MAKE_NO_FILES = ("evaluate", "reproduce")

Json = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """The earlier job, or None and why: `nothing_alike`, `code_changed`, `outputs_gone` or `dataset_erased`."""

    job: Row[Any] | None
    reason: str | None = None


def fingerprint(sql: Connection, new: NewJob, *, params: Json, contents: Sequence[str | None]) -> str:
    """Of everything that decides what a job makes: `params` with every default, datasets by their content."""
    said = {
        "action": new.action, "kind": new.kind, "model": new.model, "version": new.version, "params": params,
        "datasets": [content or dataset for content, dataset in zip(contents, new.datasets, strict=True)],
        "budget": new.budget, "promote": new.promote,
    }  # fmt: skip
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return sealed_columns.digest(sql, new.tenant, FINGERPRINT, text.encode())


def find(sql: Connection, new: NewJob) -> Found:
    """The last job of the tenant that did the same with the same code, and whose outputs are still there."""
    same = (jobs.c.tenant == new.tenant) & (jobs.c.fingerprint == new.fingerprint) & (jobs.c.state == SUCCEEDED)
    reason = "nothing_alike"
    for row in sql.execute(select(jobs).where(same).order_by(jobs.c.id.desc()).limit(LOOKED_AT)):
        refused = _why_not(sql, row)
        if refused is None:
            return Found(row)
        reason = refused if reason == "nothing_alike" else reason
    return Found(None, reason)


def _why_not(sql: Connection, row: Row[Any]) -> str | None:
    if row.code != CODE_VERSION:
        return "code_changed"
    if any(datasets.is_erased(sql, dataset) for dataset in row.datasets):
        return "dataset_erased"
    table = versions if row.action in MAKE_A_VERSION else outputs
    if row.action in MAKE_NO_FILES or sql.execute(select(table.c.job).where(table.c.job == row.id)).first():
        return None
    return "outputs_gone"
