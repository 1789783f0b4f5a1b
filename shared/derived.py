"""What jobs have made of datasets: taken out of SQL, and named, so that the files can be destroyed afterwards.

Each function is called inside one transaction, after the jobs that read the datasets have ended.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from shared import datasets, features, rights
from shared.erasures import ACTION, DELETE
from shared.jobs import ENDED
from shared.kept_files import OF_ROWS
from shared.models import hold
from shared.tables import aliases, chunks, dataset_files, label_decisions, models, outputs, versions
from shared.tables import datasets as dataset_table
from shared.tables import jobs as job_table

EXPORTS = "export"

Json = dict[str, Any]


@dataclass(frozen=True)
class Taken:
    """Files that no row names any more, and what was decided of the versions that have learned."""

    files: list[Json]  # kind, of, place, sha256, size_bytes
    outputs: list[str]  # jobs whose output files are among these
    models: list[Json]  # id, reference, done
    aliases: list[str]  # model@alias, of those that pointed to a version that is deleted


def ended_on(sql: Connection, tenant: str, dataset_ids: Sequence[str]) -> list[str]:
    """The jobs on any of these datasets that have ended, but for erasures, the oldest first.

    What has not ended reads what is left: what had read more before was told to end.
    """
    found = datasets.jobs_naming(sql, tenant, dataset_ids)
    return [job.id for job in found if job.action != ACTION and job.state in ENDED]


def learned(sql: Connection, job_ids: Sequence[str], *, clean: Set[str]) -> list[Row[Any]]:
    """The versions that these jobs have made, but for those that learned from one of the contents `clean` (sha256)."""
    chosen = (
        select(versions, models.c.name)
        .join(models, models.c.id == versions.c.model)
        .where(versions.c.job.in_(job_ids))
        .order_by(versions.c.id)
    )
    rows = sql.execute(chosen).all()
    return [row for row in rows if row.lineage.get("dataset", {}).get("sha256") not in clean]


def take_datasets(sql: Connection, tenant: str, dataset_ids: Sequence[str]) -> list[Json]:
    """The tables, uploads and computed features of datasets that are gone."""
    found = []
    for row in sql.execute(select(dataset_table).where(dataset_table.c.id.in_(dataset_ids))).all():
        found += [_file("dataset_part", row.id, part) for part in row.parts or ()]
        found += [_file("upload", row.id, file._mapping) for file in datasets.files(sql, row.id)]
        found += [_file("feature", row.id, file) for file in features.forget_files(sql, tenant, row.id)]
    sql.execute(delete(dataset_files).where(dataset_files.c.dataset.in_(dataset_ids)))
    empty = {"parts": None, "profile": None, "error": None}
    sql.execute(update(dataset_table).where(dataset_table.c.id.in_(dataset_ids)).values(empty))
    return found


def take_recordings(sql: Connection, tenant: str, erasure_id: str, contents: Sequence[str]) -> list[Json]:
    """What was computed of recordings that no dataset holds any more."""
    return [_file("feature", erasure_id, file) for file in features.forget_recordings(sql, tenant, contents)]


def sources(sql: Connection, dataset_ids: Sequence[str], name: str) -> list[str]:
    """The datasets of other names, as name@version, whose rows these have."""
    chosen = select(dataset_table.c.name, dataset_table.c.version).where(
        dataset_table.c.id.in_(rights.with_sources(sql, dataset_ids)),
        dataset_table.c.state != datasets.ERASED,
        dataset_table.c.name != name,
    )
    return sorted(f"{row.name}@{row.version}" for row in sql.execute(chosen))


def take_made(sql: Connection, job_ids: Sequence[str], marked: Sequence[Row[Any]], *, mark: Json, policy: str) -> Taken:
    """What these jobs have put out and kept of single rows; and mark the versions `marked`, or delete them."""
    of_jobs = list(job_ids)
    if policy == DELETE:
        of_jobs += _exports_of(sql, [row.id for row in marked])
    rows = sql.execute(select(outputs).where(outputs.c.job.in_(of_jobs)).order_by(outputs.c.job, outputs.c.name)).all()
    files = [_file("output", row.job, row._mapping) for row in rows]
    for table in (outputs, chunks, label_decisions):
        sql.execute(delete(table).where(table.c.job.in_(of_jobs)))
    # Whoever retries one of them begins anew.
    sql.execute(update(job_table).where(job_table.c.id.in_(job_ids)).values(checkpoint=None))
    files += _strip_versions(sql, job_ids)
    gone = _delete_versions(sql, marked) if policy == DELETE else ([], [])
    if policy != DELETE:
        _mark(sql, marked, mark)
    told = [
        {"id": row.id, "reference": f"{row.name}@{row.number}", "done": "deleted" if policy == DELETE else "kept"}
        for row in marked
    ]
    return Taken(files + gone[0], sorted({row.job for row in rows}), told, gone[1])


def named_under(sql: Connection, tenant: str, job_id: str) -> set[str]:
    """The keys of the files in a job's folder that a row names still."""
    folder = f"t/{tenant}/jobs/{job_id}/"
    of_versions = sql.execute(select(versions.c.files).where(versions.c.job == job_id)).scalars()
    kept = {file["key"] for files in of_versions for file in files}
    kept |= set(sql.execute(select(outputs.c.key).where(outputs.c.job == job_id)).scalars())
    return kept | features.named(sql, folder)


def descendants(sql: Connection, tenant: str, dataset_ids: Sequence[str]) -> list[str]:
    """The other datasets, as name@version, that were made of one of these, and so hold its rows."""
    rows = sql.execute(
        select(
            dataset_table.c.id,
            dataset_table.c.name,
            dataset_table.c.version,
            dataset_table.c.base,
            dataset_table.c.copied_from,
        ).where(dataset_table.c.tenant == tenant, dataset_table.c.state != datasets.ERASED)
    ).all()
    within, told = set(dataset_ids), []
    # A base is older than what adds to it, and ids sort by time.
    for row in sorted(rows, key=lambda row: row.id):
        if row.id not in within and not within.isdisjoint({row.base, row.copied_from}):
            within.add(row.id)
            told.append(f"{row.name}@{row.version}")
    return told


def _exports_of(sql: Connection, version_ids: Sequence[str]) -> list[str]:
    chosen = select(job_table.c.id).where(job_table.c.action == EXPORTS, job_table.c.version.in_(version_ids))
    return list(sql.execute(chosen).scalars())


def _strip_versions(sql: Connection, job_ids: Sequence[str]) -> list[Json]:
    found = []
    for row in sql.execute(select(versions.c.id, versions.c.files).where(versions.c.job.in_(job_ids))).all():
        gone = [file for file in row.files if file["name"] in OF_ROWS]
        if gone:
            left = [file for file in row.files if file["name"] not in OF_ROWS]
            sql.execute(update(versions).where(versions.c.id == row.id).values(files=left))
        found += [_file("kept_rows", row.id, file) for file in gone]
    return found


def _mark(sql: Connection, marked: Sequence[Row[Any]], mark: Json) -> None:
    for row in marked:
        before = [each for each in row.erased_data or [] if each["erasure"] != mark["erasure"]]
        sql.execute(update(versions).where(versions.c.id == row.id).values(erased_data=[*before, mark]))


def _delete_versions(sql: Connection, marked: Sequence[Row[Any]]) -> tuple[list[Json], list[str]]:
    """Forget versions, and models that have none left; an alias that pointed to one points to nothing afterwards.

    That it fell back to where it pointed before would be a move that nobody has asked for.
    """
    ids = [row.id for row in marked]
    # A training that ends at this moment either is waited for, or finds the model as it is afterwards.
    for model in sorted({row.model for row in marked}):
        hold(sql, model)
    files = []
    for row in sql.execute(select(versions.c.id, versions.c.files).where(versions.c.id.in_(ids))).all():
        files += [_file("model_file", row.id, file) for file in row.files]
    lost = [
        (model, row.alias, row.name)
        for model in sorted({row.model for row in marked})
        for row in _pointing(sql, model)
        if row.version in ids
    ]
    for model, alias, _ in lost:
        sql.execute(delete(aliases).where(aliases.c.model == model, aliases.c.alias == alias))
    sql.execute(delete(aliases).where(aliases.c.version.in_(ids)))
    sql.execute(delete(versions).where(versions.c.id.in_(ids)))
    left = set(sql.execute(select(versions.c.model)).scalars())
    bare = {row.model for row in marked} - left
    sql.execute(delete(models).where(models.c.id.in_(bare)))
    return files, [f"{name}@{alias}" for _, alias, name in lost]


def _pointing(sql: Connection, model: str) -> list[Row[Any]]:
    """Where each alias of a model points now."""
    chosen = (
        select(aliases.c.alias, aliases.c.version, models.c.name)
        .join(models, models.c.id == aliases.c.model)
        .where(aliases.c.model == model)
        .order_by(aliases.c.move)
    )
    last: dict[str, Any] = {move.alias: move for move in sql.execute(chosen)}  # Any: rows of three columns
    return list(last.values())


def _file(kind: str, of: str, file: Any) -> Json:  # Any: a mapping, of a row or of JSON
    return {
        "kind": kind, "of": of, "place": file["key"], "sha256": file["sha256"], "size_bytes": file["size_bytes"],
    }  # fmt: skip
