"""Datasets: a name holds numbered versions, each immutable once ready and identified by its content."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from shared import apart, explanation, features, ids, jobs
from shared.database import now
from shared.errors import Fault, InvalidRequest, NotAllowedNow, NotFound, TryAgain
from shared.queue import LIGHT
from shared.storage import Stored
from shared.tables import dataset_files, datasets, versions
from shared.tables import jobs as job_table
from shared.tables import models as model_table

# The format whose uploads are let go of once they are read: its table is the truth, so that erasing a listener erases.
INTERACTIONS = "interactions"
TABLE = "table"
AUDIO = "audio"
SYMBOLIC = "symbolic"
OPEN, INGESTING, READY, REJECTED, ERASED = "open", "ingesting", "ready", "rejected", "erased"

Json = dict[str, Any]


def create(
    sql: Connection,
    tenant: str,
    *,
    name: str,
    format: str,
    columns: Json,
    base: str | None = None,
    copied_from: str | None = None,
    masking: Json | None = None,
) -> Row[Any]:
    """Open the next version under a name; with `base`, files will be added to that version's, masked as they are.

    `copied_from`: the version whose rows it will have, corrected.
    """
    if base is not None:
        parent = resolve(sql, tenant, base, pointer="/base")
        if parent.format != format:
            said = f"expected a base of format {format}, received one of format {parent.format}"
            raise InvalidRequest(said, code="format_mismatch", faults=[Fault(said, pointer="/base")])
        if format == INTERACTIONS and parent.name != name:
            # Pseudonyms and erasures go by the name.
            said = f"expected a base of the same name, {name}, received {parent.name}@{parent.version}"
            raise InvalidRequest(said, code="base_of_another_name", faults=[Fault(said, pointer="/base")])
        masking = _masked_alike(parent, name, masking)
        base = parent.id
    newest = select(func.coalesce(func.max(datasets.c.version), 0) + 1).where(
        datasets.c.tenant == tenant, datasets.c.name == name
    )
    values = {
        "id": ids.new("ds"), "tenant": tenant, "name": name, "version": newest.scalar_subquery(), "format": format,
        "columns": columns, "state": OPEN, "base": base, "copied_from": copied_from, "created_at": now(),
        # Left out, for a JSON null is not the NULL of a column.
        **({} if masking is None else {"masking": masking}),
    }  # fmt: skip
    return sql.execute(insert(datasets).values(values).returning(datasets)).one()


def _masked_alike(parent: Row[Any], name: str, masking: Json | None) -> Json | None:
    """The rules of the base: its files and the new ones make one table, and what is equal must be equal in both."""
    if masking not in (None, parent.masking):
        said = f"expected no masking, or that of the base {parent.name}@{parent.version}"
        raise InvalidRequest(said, code="masking_differs", faults=[Fault(said, pointer="/masking")])
    hashes = [column for column, rule in (parent.masking or {}).items() if rule["rule"] == "hash"]
    if hashes and parent.name != name:
        # Keys of hashes go by the name.
        said = f"expected a base of the same name, {name}, as its {hashes[0]!r} is hashed, received {parent.name}"
        raise InvalidRequest(said, code="base_of_another_name", faults=[Fault(said, pointer="/base")])
    found: Json | None = parent.masking
    return found


def has_name(sql: Connection, tenant: str, name: str) -> bool:
    """Whether a dataset of this name is left."""
    mine = (datasets.c.tenant == tenant) & (datasets.c.name == name) & (datasets.c.state != ERASED)
    return sql.execute(select(datasets.c.id).where(mine).limit(1)).first() is not None


def add_file(sql: Connection, tenant: str, dataset_id: str, *, name: str, key: str, stored: Stored) -> str | None:
    """Record an uploaded file; a second one of the same name replaces the first, whose key is returned."""
    demand_open(sql, tenant, dataset_id)
    mine = (dataset_files.c.tenant == tenant) & (dataset_files.c.dataset == dataset_id)
    same = mine & (dataset_files.c.name == name)
    replaced: str | None = sql.execute(select(dataset_files.c.key).where(same)).scalar()
    sql.execute(dataset_files.delete().where(same))
    name_file(
        sql, tenant, dataset_id, {"name": name, "key": key, "size_bytes": stored.size_bytes, "sha256": stored.sha256}
    )
    return replaced


def size_of(sql: Connection, dataset_id: str, name: str) -> int:
    """The bytes of an uploaded file, 0 if there is none of that name."""
    same = (dataset_files.c.dataset == dataset_id) & (dataset_files.c.name == name)
    return int(sql.execute(select(dataset_files.c.size_bytes).where(same)).scalar() or 0)


def name_file(sql: Connection, tenant: str, dataset_id: str, file: Json) -> None:
    """Record a file by its name, key, size and SHA-256 as one that a dataset was made of."""
    sql.execute(insert(dataset_files).values(tenant=tenant, dataset=dataset_id, uploaded_at=now(), **file))


def demand_open(sql: Connection, tenant: str, dataset_id: str) -> Row[Any]:
    """The row of a dataset that still takes files; holds it until the transaction ends."""
    row = sql.execute(_mine(tenant, dataset_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("There is no such dataset.")
    if row.state != OPEN:
        raise NotAllowedNow(f"A dataset that is {row.state} takes no files.", code=f"dataset_{row.state}")
    return row


def begin_ingest(sql: Connection, tenant: str, dataset_id: str) -> str:
    """Close the dataset for files and submit the job that reads them; returns the job's id."""
    demand_open(sql, tenant, dataset_id)
    if not files(sql, dataset_id):
        raise NotAllowedNow("The dataset has no file yet: upload one, then commit.", code="dataset_empty")
    return str(submit_ingest(sql, tenant, dataset_id).id)


def submit_ingest(
    sql: Connection, tenant: str, dataset_id: str, *, params: Json | None = None, fingerprint: str | None = None
) -> Row[Any]:
    """Close the dataset for files, and submit the job that makes it."""
    sql.execute(update(datasets).where(datasets.c.id == dataset_id).values(state=INGESTING))
    new = jobs.NewJob(tenant=tenant, action="ingest", queue=LIGHT, datasets=[dataset_id], params=params or {})
    return jobs.submit(sql, replace(new, fingerprint=fingerprint))


def files(sql: Connection, dataset_id: str) -> list[Row[Any]]:
    """The uploaded files in the order of their names, which is the order of the rows."""
    chosen = select(dataset_files).where(dataset_files.c.dataset == dataset_id)
    # Not by SQL, to which the names are sealed.
    return sorted(sql.execute(chosen).all(), key=lambda file: str(file.name))


def mark_ready(
    sql: Connection, dataset_id: str, *, parts: list[Json], profile: Json, recordings: Sequence[str] = ()
) -> None:
    """Publish what ingest made: called in the transaction that ends its job; `recordings` are a track's contents."""
    masking = sql.execute(select(datasets.c.masking).where(datasets.c.id == dataset_id)).scalar()
    profile = profile if masking is None else {**profile, "masking": masking}
    change = {
        "state": READY, "parts": parts, "profile": profile, "rows": profile["rows"], "ready_at": now(),
        "size_bytes": sum(part["size_bytes"] for part in parts), "sha256": _identify(sql, dataset_id),
    }  # fmt: skip
    read = (datasets.c.id == dataset_id) & (datasets.c.state == INGESTING)
    taken = sql.execute(update(datasets).where(read).values(change).returning(datasets.c.tenant)).one_or_none()
    if taken is None:
        raise NotAllowedNow("The dataset was erased while it was read.", code="dataset_erased")
    features.name_tracks(sql, taken.tenant, dataset_id, recordings)


def let_go(sql: Connection, dataset_id: str) -> None:
    """Forget the uploads of a dataset that has been read and identified; the bytes are swept (worker/leftovers.py)."""
    sql.execute(dataset_files.delete().where(dataset_files.c.dataset == dataset_id))


def demand_unchanged(sql: Connection, row: Row[Any]) -> None:
    """Raise TryAgain unless a dataset is as it was when it was read; holds it until the transaction ends."""
    chosen = select(datasets.c.sha256, datasets.c.state).where(datasets.c.id == row.id).with_for_update()
    if tuple(sql.execute(chosen).one()) != (row.sha256, READY):
        raise changed(row)


def changed(row: Row[Any]) -> TryAgain:
    """What is said where a dataset is not any more what was read."""
    return TryAgain(f"Dataset {row.name}@{row.version} was changed while it was read.", code="dataset_changed")


def settle(sql: Connection) -> int:
    """Reject the datasets whose ingest has ended without making them ready; returns how many.

    Said in the transaction that fails an ingest, and by every tick for those whose worker was lost.
    """
    waiting = sql.execute(select(datasets.c.id, datasets.c.tenant).where(datasets.c.state == INGESTING)).all()
    return sum(apart.each(sql, waiting, lambda row: _settle(sql, row.tenant, row.id)))


def _settle(sql: Connection, tenant: str, dataset_id: str) -> bool:
    chosen = select(job_table).where(job_table.c.tenant == tenant, job_table.c.action == "ingest")
    ended = [job for job in sql.execute(chosen.where(job_table.c.state.in_(jobs.ENDED))) if dataset_id in job.datasets]
    if not ended:
        return False
    error = ended[-1].error or {"title": "The ingest was cancelled", "code": "cancelled", "retryable": False}
    mine = (datasets.c.tenant == tenant) & (datasets.c.id == dataset_id)
    sql.execute(update(datasets).where(mine).values(state=REJECTED, error=error))
    return True


def find(sql: Connection, tenant: str, dataset_id: str) -> Row[Any]:
    """One dataset by id; an erased one is not found. Raises NotFound."""
    row = sql.execute(_mine(tenant, dataset_id)).one_or_none()
    if row is None or row.state == ERASED:
        raise NotFound("There is no such dataset.")
    return row


def page(sql: Connection, tenant: str, *, limit: int, before: str | None, name: str | None) -> list[Row[Any]]:
    """The newest first, without the erased."""
    chosen = select(datasets).where(datasets.c.tenant == tenant, datasets.c.state != ERASED)
    if before is not None:
        chosen = chosen.where(datasets.c.id < before)
    if name is not None:
        chosen = chosen.where(datasets.c.name == name)
    return list(sql.execute(chosen.order_by(datasets.c.id.desc()).limit(limit)).all())


# Built once: putting a statement together costs as much as running it.
_THERE = select(datasets).where(datasets.c.tenant == bindparam("of"), datasets.c.state != ERASED)
_CALLED = _THERE.where(datasets.c.name == bindparam("called"))
_BY_ID = _THERE.where(datasets.c.id == bindparam("reference"))
_NEWEST = _CALLED.where(datasets.c.state == READY).order_by(datasets.c.version.desc()).limit(1)
_NUMBERED = _CALLED.where(datasets.c.version == bindparam("number"))


def resolve(sql: Connection, tenant: str, reference: str, *, pointer: str) -> Row[Any]:
    """The ready dataset that `ds_…`, `name@3`, `name@latest` or `name` means.

    Raises InvalidRequest with the pointer when it names nothing, NotAllowedNow when it is not ready.
    """
    name, _, version = reference.partition("@")
    if reference.startswith("ds_"):
        row = sql.execute(_BY_ID, {"of": tenant, "reference": reference}).one_or_none()
    elif version in ("", "latest"):
        row = sql.execute(_NEWEST, {"of": tenant, "called": name}).one_or_none()
    elif version.isdigit() and len(version) < 10:
        row = sql.execute(_NUMBERED, {"of": tenant, "called": name, "number": int(version)}).one_or_none()
    else:
        row = None
    if row is None and version in ("", "latest") and _is_under_way(sql, tenant, name):
        said = f"Dataset {name} is still being read: wait for its ingest job."
        raise NotAllowedNow(said, code="dataset_not_ready")
    if row is None:
        said = f"expected a dataset (its id, name@3 or name@latest), received {reference!r}, which names none"
        raise InvalidRequest(said, code="unknown_reference", faults=[Fault(said, pointer=pointer)])
    if row.state != READY:
        raise NotAllowedNow(f"Dataset {reference} is {row.state}, not ready.", code="dataset_not_ready")
    return row


def find_all(sql: Connection, tenant: str, reference: str, *, pointer: str) -> list[Row[Any]]:
    """Every version of `name`, whatever its state, or the one that `ds_…` or `name@3` means; the oldest first.

    Raises InvalidRequest with the pointer when it names nothing, an erased one being nothing.
    """
    name, _, version = reference.partition("@")
    chosen = select(datasets).where(datasets.c.tenant == tenant, datasets.c.state != ERASED)
    if reference.startswith("ds_"):
        chosen = chosen.where(datasets.c.id == reference)
    elif version.isdigit() and len(version) < 10:
        chosen = chosen.where(datasets.c.name == name, datasets.c.version == int(version))
    else:
        chosen = chosen.where(datasets.c.name == reference)
    rows = list(sql.execute(chosen.order_by(datasets.c.version)).all())
    if not rows:
        said = f"expected a dataset (its id, its name or name@3), received {reference!r}, which names none"
        raise InvalidRequest(said, code="unknown_reference", faults=[Fault(said, pointer=pointer)])
    return rows


def _is_under_way(sql: Connection, tenant: str, name: str) -> bool:
    mine = (datasets.c.tenant == tenant) & (datasets.c.name == name)
    return sql.execute(select(datasets.c.id).where(mine, datasets.c.state.in_((OPEN, INGESTING)))).first() is not None


def erase(sql: Connection, tenant: str, dataset_id: str) -> tuple[Json, list[str]]:
    """Mark a dataset as gone and say what was made of it.

    Its bytes are deleted once this is committed, and so are the files whose keys are returned: what was computed of
    recordings that no other dataset holds, and rows that were kept with a model.
    """
    row = find(sql, tenant, dataset_id)
    change = {"state": ERASED, "erased_at": now(), "parts": None, "profile": None, "error": None}
    sql.execute(update(datasets).where(datasets.c.id == row.id).values(change))
    sql.execute(dataset_files.delete().where(dataset_files.c.dataset == row.id))
    used = jobs_naming(sql, tenant, {row.id})
    keys = [*features.forget(sql, tenant, row.id), *explanation.forget_examples(sql, [job.id for job in used])]
    said = {
        "id": row.id,
        "state": ERASED,
        "models": [f"{made_row.name}@{made_row.number}" for made_row in made_by(sql, [job.id for job in used])],
        "predictions": [job.id for job in used if job.action in ("score", "generate")],
    }
    return said, keys


def is_erased(sql: Connection, dataset_id: str) -> bool:
    return sql.execute(select(datasets.c.state).where(datasets.c.id == dataset_id)).scalar() in (None, ERASED)


def jobs_naming(sql: Connection, tenant: str, wanted: Collection[str]) -> list[Any]:  # Any: rows of four columns
    """The jobs on any of these datasets, the oldest first."""
    columns = (job_table.c.id, job_table.c.action, job_table.c.state, job_table.c.datasets)
    chosen = select(*columns).where(job_table.c.tenant == tenant).order_by(job_table.c.id)
    return [job for job in sql.execute(chosen) if not set(wanted).isdisjoint(job.datasets)]


def made_by(sql: Connection, job_ids: Sequence[str]) -> list[Any]:  # Any: rows of four columns
    """Name, number, job and lineage of the model versions that these jobs have made, the oldest first."""
    chosen = (
        select(model_table.c.name, versions.c.number, versions.c.job, versions.c.lineage)
        .join(versions, versions.c.model == model_table.c.id)
        .where(versions.c.job.in_(job_ids))
        .order_by(versions.c.id)
    )
    return list(sql.execute(chosen).all())


def _mine(tenant: str, dataset_id: str) -> Any:  # Any: SQLAlchemy's select of a table has no short type
    return select(datasets).where(datasets.c.tenant == tenant, datasets.c.id == dataset_id)


def _identify(sql: Connection, dataset_id: str) -> str:
    """SHA-256 over the format, the column roles, the base and each file's name and SHA-256."""
    row = sql.execute(select(datasets).where(datasets.c.id == dataset_id)).one()
    base = sql.execute(select(datasets.c.sha256).where(datasets.c.id == row.base)).scalar() if row.base else None
    content = {
        "format": row.format,
        "columns": row.columns,
        "base": base,
        "files": [[file.name, file.sha256] for file in files(sql, dataset_id)],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
