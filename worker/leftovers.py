"""Deletes what nobody needs any more of a dataset of interactions: its uploads, and parts from before an erasure."""

from sqlalchemy import Connection, select

from shared import datasets, storage
from shared.database import Database
from shared.jobs import ENDED
from shared.storage import Storage
from shared.tables import datasets as table
from shared.tables import jobs

CHANGES = ("ingest", "erase")


def delete(database: Database, files: Storage, tenant: str, job_id: str) -> None:
    """Delete what the datasets that an ended job may have changed do not name any more; again does no harm."""
    with database.reading() as sql:
        chosen = select(jobs.c.action, jobs.c.datasets, jobs.c.params).where(jobs.c.id == job_id)
        job = sql.execute(chosen).one_or_none()
        if job is None or job.action not in CHANGES:
            return
        # An erasure that was decided names no dataset but by its name.
        names = select(table.c.name).where(table.c.id.in_(job.datasets) | (table.c.name == job.params.get("dataset")))
        mine = (table.c.tenant == tenant) & (table.c.format == datasets.INTERACTIONS)
        found = sql.execute(select(table.c.id, table.c.state).where(mine, table.c.name.in_(names))).all()
    for row in found:
        for key in unnamed(database, files, tenant, row.id):
            files.delete(key)
        if row.state == datasets.REJECTED:
            # Not before its bytes are gone: until then an erasure tells of them.
            with database.transaction() as sql:
                datasets.let_go(sql, row.id)


def unnamed(database: Database, files: Storage, tenant: str, dataset_id: str) -> list[str]:
    """The keys of a ready dataset that no row names and no job still writes, in this order; all of a rejected one.

    Listed first: what is put there later is none of them. Jobs are asked before names, for a job that has ended by
    then has named what it wrote.
    """
    folder = storage.dataset_folder(tenant, dataset_id)
    there = files.keys(folder)
    with database.reading() as sql:
        writing = _writing(sql, tenant, there, folder)
        row = sql.execute(select(table).where(table.c.id == dataset_id)).one()
        if row.state not in (datasets.READY, datasets.REJECTED):
            return []
        # What was rejected is never read again: the rows of its files only tell that their bytes may still be there.
        kept = datasets.files(sql, dataset_id) if row.state == datasets.READY else []
        named = {part["key"] for part in row.parts or ()} | {file.key for file in kept}
    return [key for key in there if key not in named and not key.startswith(tuple(writing))]


def _writing(sql: Connection, tenant: str, keys: list[str], folder: str) -> list[str]:
    """Of the folders of erasures those whose job has not ended."""
    parts = f"{folder}parts/"
    found = {key.removeprefix(parts).partition("/")[0].partition("-")[0] for key in keys if key.startswith(parts)}
    chosen = select(jobs.c.id).where(jobs.c.tenant == tenant, jobs.c.id.in_(found), jobs.c.state.not_in(ENDED))
    return [f"{parts}{job_id}-" for job_id in sql.execute(chosen).scalars()]
