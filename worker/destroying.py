"""Destroys keys and files of an erasure, by what it has noted; done again it does no harm."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from shared import datasets, derived, erasures, rights, storage
from shared.masking import keys as masking_keys
from shared.row_keys import RowKeys
from shared.tables import datasets as dataset_table
from worker import leftovers
from worker.desk import Desk


def destroy(desk: Desk, row: Row[Any]) -> list[str]:
    """Destroy keys and files: those that were noted, and what else lies beside them that no row names."""
    for done, file in enumerate(row.found["files"], 1):
        desk.storage.delete(file["place"])
        desk.report_rows(done, len(row.found["files"]))
    leftover: list[str] = []
    ids = [each["id"] for each in row.found["datasets"]]
    for job in row.found["jobs"]:
        leftover += _sweep_job(desk, job)
    for each in row.found.get("restarted", ()):
        leftover += _sweep_job(desk, each["job"], until=each["fence"])
    _destroy_row_keys(desk, row, ids)
    _destroy_key_of_hashes(desk, row)
    for dataset in ids:
        if row.kind == erasures.DATASET:
            desk.storage.delete_folder(storage.dataset_folder(row.tenant, dataset))
            continue
        for key in leftovers.unnamed(desk.database, desk.storage, row.tenant, dataset):
            desk.storage.delete(key)
            leftover.append(key)
    return leftover


def _destroy_row_keys(desk: Desk, row: Row[Any], dataset_ids: Sequence[str]) -> None:
    """Entries of the ledger of rights stay; of which rows they speak, nobody can read any more."""
    if row.kind == erasures.LISTENER:
        return
    names = RowKeys(desk.storage, desk.settings.pepper)
    gone = set() if row.pseudonym is None else {row.pseudonym, *row.found.get("named", ())}
    if row.kind == erasures.DATASET:
        with desk.database.reading() as sql:
            gone = rights.sealed_rows(sql, dataset_ids) - rights.sealed_rows(sql, _left_of_name(sql, row))
    for pseudonym in sorted(gone):
        names.destroy(row.tenant, pseudonym)


def _left_of_name(sql: Connection, row: Row[Any]) -> list[str]:
    mine = (dataset_table.c.tenant == row.tenant) & (dataset_table.c.name == row.dataset)
    is_left = dataset_table.c.state != datasets.ERASED
    return list(sql.execute(select(dataset_table.c.id).where(mine, is_left)).scalars())


def _destroy_key_of_hashes(desk: Desk, row: Row[Any]) -> None:
    """With the last dataset of a name nobody can tell any more whose hashes others hold."""
    with desk.database.reading() as sql:
        is_left = datasets.has_name(sql, row.tenant, row.dataset)
    if not is_left:
        masking_keys.destroy(desk.storage, masking_keys.place(desk.settings.pepper, row.tenant, row.dataset))


def _sweep_job(desk: Desk, job: str, *, until: int | None = None) -> list[str]:
    """What attempts, or those up to a fence, have left behind and nobody names: checkpoints, chunks."""
    desk.check()
    folder = f"t/{desk.claim.tenant}/jobs/{job}/"
    there = [key for key in desk.storage.keys(folder) if until is None or _fence(key, folder) <= until]
    with desk.database.reading() as sql:
        gone = sorted(set(there) - derived.named_under(sql, desk.claim.tenant, job))
    for key in gone:
        desk.storage.delete(key)
    return gone


def _fence(key: str, folder: str) -> int:
    return int(key.removeprefix(folder).partition("/")[0])
