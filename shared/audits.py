"""What becomes of an audit's suspects: each is accepted or rejected, and the accepted make a corrected dataset.

Every function is called inside one transaction.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, delete, insert, select

from shared import datasets, job_list, sealed_columns
from shared.audit_params import AUDIT
from shared.database import now
from shared.errors import NotAllowedNow, NotFound
from shared.jobs import CANCELLED, FAILED, FINGERPRINT, SUCCEEDED
from shared.tables import datasets as versions
from shared.tables import jobs as job_table
from shared.tables import label_decisions as table

ACCEPT, REJECT = "accept", "reject"
# Bound variables of one statement; SQLite takes 32,766.
AT_ONCE = 1000
# Roles that a table's columns still have once those that were dropped are gone.
ROLES = ("target", "group", "id", "mask", "licence", "consent")

Json = dict[str, Any]
T = TypeVar("T")
# The label of a row, or all of its labels where it may have several.
Label = str | list[str]


@dataclass(frozen=True)
class Decision:
    """What was decided of a row; the label that it shall have, where its own was found wrong."""

    row: int
    decision: str
    label: Label | None


@dataclass(frozen=True)
class Applied:
    """The ingest that makes the corrected version, and whether it was submitted just now."""

    job: Row[Any]
    is_new: bool


def find(sql: Connection, tenant: str, job_id: str) -> Row[Any]:
    """An audit that has ended well. Raises NotFound, NotAllowedNow."""
    job = job_list.find(sql, tenant, job_id)
    if job.action != AUDIT:
        raise NotFound(f"A {job.action} job is no audit, and has no suspects.")
    if job.state != SUCCEEDED:
        raise NotAllowedNow(f"The job is {job.state}: it has no suspects yet.", code="no_audit_yet")
    job_list.demand_outputs(sql, job)
    return job


def decide(sql: Connection, job_id: str, decisions: Iterable[Decision], *, key: str) -> None:
    """Keep what was decided; of a row the last one wins, here and in what is kept already."""
    last = {each.row: each for each in decisions}
    # Held, or two that decide of one row at a time would both write it.
    held = select(job_table.c.tenant).where(job_table.c.id == job_id).with_for_update()
    whose = {"tenant": sql.execute(held).scalar_one(), "job": job_id, "key": key}
    for some in _some(list(last.values())):
        sql.execute(delete(table).where(table.c.job == job_id, table.c.row.in_([each.row for each in some])))
        rows = [{**vars(each), **whose} for each in some]
        sql.execute(insert(table).values(at=now()), rows)


def decided(sql: Connection, job_id: str, rows: Sequence[int]) -> dict[int, Row[Any]]:
    """What was decided of these rows, by their numbers."""
    found: dict[int, Row[Any]] = {}
    for some in _some(rows):
        chosen = select(table).where(table.c.job == job_id, table.c.row.in_(some))
        found.update({each.row: each for each in sql.execute(chosen)})
    return found


def _some(every: Sequence[T]) -> Iterator[Sequence[T]]:
    return (every[first : first + AT_ONCE] for first in range(0, len(every), AT_ONCE))


def count(sql: Connection, job_id: str) -> Json:
    """How many rows were decided of, either way."""
    made = list(sql.execute(select(table.c.decision).where(table.c.job == job_id)).scalars())
    return {"accepted": made.count(ACCEPT), "rejected": made.count(REJECT)}


def corrections(sql: Connection, job_id: str) -> dict[int, Label]:
    """The labels of the rows whose own were found wrong, in the order of the rows."""
    accepted = (table.c.job == job_id) & (table.c.decision == ACCEPT)
    chosen = select(table.c.row, table.c.label).where(accepted).order_by(table.c.row)
    return {each.row: each.label for each in sql.execute(chosen)}


def fingerprint(sql: Connection, tenant: str, job_id: str, corrections: dict[int, Label]) -> str:
    """Of everything that decides what a corrected version is like."""
    said = [AUDIT, job_id, sorted(corrections.items())]
    return sealed_columns.digest(sql, tenant, FINGERPRINT, json.dumps(said, ensure_ascii=False).encode())


def apply(sql: Connection, tenant: str, audit: Row[Any]) -> Applied:
    """Submit the ingest of the next version with the corrected labels; with the same decisions it is the earlier one.

    It is made from the version that was audited, whatever came after that. Raises NotAllowedNow.
    """
    source = find_source(sql, audit)
    found = corrections(sql, audit.id)
    if not found:
        said = "No label was found wrong yet: accept a suspect, by PUT /v1/jobs/{id}/audit/{row}, then apply."
        raise NotAllowedNow(said, code="nothing_accepted")
    sql.execute(select(job_table.c.id).where(job_table.c.id == audit.id).with_for_update())
    same = fingerprint(sql, tenant, audit.id, found)
    earlier = _earlier(sql, tenant, same)
    if earlier is not None:
        return Applied(earlier, is_new=False)
    is_table = source.format == "table"
    base = None if is_table else source.id
    columns = _roles(source) if is_table else source.columns
    # Its rows are those that were masked, and what is added to it later will be masked alike.
    named = {"name": source.name, "format": source.format, "columns": columns, "masking": source.masking}
    new = datasets.create(sql, tenant, **named, base=base, copied_from=source.id)
    job = datasets.submit_ingest(sql, tenant, new.id, params={"audit": audit.id}, fingerprint=same)
    return Applied(job, is_new=True)


def find_source(sql: Connection, audit: Row[Any]) -> Row[Any]:
    """The dataset that was audited. Raises NotAllowedNow (dataset_erased)."""
    (dataset_id,) = audit.datasets
    if datasets.is_erased(sql, dataset_id):
        said = "The dataset that was audited is erased: audit another version of it."
        raise NotAllowedNow(said, code="dataset_erased")
    return datasets.find(sql, audit.tenant, dataset_id)


def newer_versions(sql: Connection, source: Row[Any], *, before: int) -> list[int]:
    """The ready versions of a dataset's name that came after it, and before another."""
    named = (versions.c.tenant == source.tenant) & (versions.c.name == source.name)
    between = versions.c.version.between(source.version + 1, before - 1)
    chosen = select(versions.c.version).where(named, between, versions.c.state == datasets.READY)
    return list(sql.execute(chosen.order_by(versions.c.version)).scalars())


def _earlier(sql: Connection, tenant: str, fingerprint: str) -> Row[Any] | None:
    """The ingest that makes, or has made, the same and whose dataset is still there."""
    mine = (job_table.c.tenant == tenant) & (job_table.c.fingerprint == fingerprint)
    chosen = select(job_table).where(mine, job_table.c.state.not_in((FAILED, CANCELLED)))
    found = sql.execute(chosen.order_by(job_table.c.id.desc())).all()
    return next((job for job in found if not datasets.is_erased(sql, job.datasets[0])), None)


def _roles(source: Row[Any]) -> Json:
    """The roles that the columns turned out to have: what was inferred once is said now."""
    roles = source.profile["roles"]
    return {name: roles[name] for name in ROLES if roles.get(name)}
