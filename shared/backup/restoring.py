"""Puts a backup into an empty database and an empty storage: files first, then all rows in one transaction.

One that died half-way has written no row; said again, it finds its own files and goes on.
"""

from pathlib import Path

from sqlalchemy import Connection, make_url, update

from shared.backup import DATABASE, STORAGE, Refused, engines, files, manifest, progress, rows, schema
from shared.backup.manifest import Manifest
from shared.database import now
from shared.jobs import RUNNING
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import jobs


def restore(chosen: Settings, folder: Path) -> Manifest:
    """Raises Refused, before anything is written, when the backup is damaged or its place is taken."""
    saved = manifest.read(folder)
    schema.demand_known(saved.revision, "The backup")
    _demand_database_whole(folder / DATABASE, saved)
    with engines.snapshot(engines.sealed(folder / DATABASE)) as copy:
        _demand_files_whole(copy, folder, saved)
        chosen.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _demand_no_rows(chosen)
        storage = Storage(chosen)
        there = _find_own(storage, copy, chosen)
        _put_files(storage, copy, folder, saved=saved, there=there)
        _put_rows(chosen, copy, saved)
    return saved


def _demand_database_whole(path: Path, saved: Manifest) -> None:
    if not path.is_file():
        raise Refused(f"The backup is damaged: {path} is missing. Use another one.")
    if files.digest(path) != saved.sha256:
        raise Refused(f"The backup is damaged: {path} is not what was written. Use another one.")


def _demand_files_whole(copy: Connection, folder: Path, saved: Manifest) -> None:
    gone = set(saved.gone)
    expected = (file for file in files.named(copy) if file.key not in gone)
    faults = files.find_faults(folder / STORAGE, progress.shown("checked", expected, saved.files))
    if faults:
        raise Refused(f"The backup is damaged:\n{files.enumerate_faults(faults)}\nUse another one.")


def _demand_no_rows(chosen: Settings) -> None:
    target = make_url(chosen.database_url)
    if engines.exists(target):
        with engines.snapshot(target) as sql:
            rows.demand_none(sql)


def _find_own(storage: Storage, copy: Connection, chosen: Settings) -> set[str]:
    """The keys that an earlier restore has put there; anything else there is refused."""
    there = set(storage.keys("t/"))
    strange, own = set(there), set()
    for file in files.named(copy) if there else ():
        if file.key in there and files.digest_of(storage.stream(file.key)) == file.sha256:
            strange.discard(file.key)
            own.add(file.key)
    if strange:
        raise Refused(
            f"The storage {chosen.storage_url} has {len(strange):,} files already that are not of this backup, such as "
            f"{min(strange)}: restore into an empty one."
        )
    return own


def _put_files(storage: Storage, copy: Connection, folder: Path, *, saved: Manifest, there: set[str]) -> None:
    left_out = there | set(saved.gone)
    waiting = (file for file in files.named(copy) if file.key not in left_out)
    for file in progress.shown("restored", waiting, saved.files - len(there)):
        storage.put_file(file.key, folder / STORAGE / file.key)


def _put_rows(chosen: Settings, copy: Connection, saved: Manifest) -> None:
    with engines.writing(make_url(chosen.database_url)) as sql:
        # Asked again: somebody may have started the service since.
        rows.demand_none(sql)
        schema.make(sql, saved.revision)
        rows.copy(copy, sql, rows.names(copy))
        # Their workers know another database: let the next tick take them back at once.
        sql.execute(update(jobs).where(jobs.c.state == RUNNING).values(lease_until=now()))
        schema.upgrade(sql)
