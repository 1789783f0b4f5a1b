"""Puts a backup into an empty database and an empty storage: files first, then all rows in one transaction.

One that died half-way has written no row; said again, it finds its own files and goes on.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, make_url, update

from shared.backup import DATABASE, STORAGE, Refused, engines, files, keys, manifest, progress, rows, schema
from shared.backup.files import Named
from shared.backup.manifest import Manifest
from shared.database import now
from shared.jobs import RUNNING
from shared.objects import Objects
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import jobs


def restore(chosen: Settings, folder: Path, *, keys_folder: Path | None = None) -> Manifest:
    """Returns what is restored; `gone` names the files that are not, for they were swept or erased.

    With the keys of `keys_folder`; with those of the place itself, where they are still there; or with those of the
    folder beside the backup. Raises Refused, before anything is written, when the backup is damaged or its place taken.
    """
    saved = manifest.read(folder)
    schema.demand_known(saved.revision, "The backup")
    _demand_database_whole(folder / DATABASE, saved)
    with (
        engines.snapshot(engines.sealed(folder / DATABASE)) as copy,
        _find_keys(chosen, folder, saved, keys_folder) as path,
    ):
        gone = _demand_files_whole(chosen, copy, folder, saved, path)
        chosen.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _demand_no_rows(chosen)
        there = _find_own(chosen, copy, folder, is_sealed=path is not None)
        if path is not None:
            _put_keys(chosen, path, saved)
        _put_files(chosen, copy, folder, saved=saved, left_out=there | gone)
        _put_rows(chosen, copy, saved)
    return saved.model_copy(update={"gone": sorted(gone), "files": saved.files - len(gone - set(saved.gone))})


@contextmanager
def _find_keys(chosen: Settings, folder: Path, saved: Manifest, given: Path | None) -> Iterator[Path | None]:
    """Where a copy of the right keys lies; None for a backup of files that lie open."""
    if saved.sealed_by is None:
        yield None
    elif given is not None or keys.store_of(chosen) != saved.sealed_by:
        yield (given or keys.beside(folder)) / keys.KEYS
    else:
        with tempfile.TemporaryDirectory() as scratch:
            keys.save(chosen, Path(scratch))
            yield Path(scratch) / keys.KEYS


def _demand_database_whole(path: Path, saved: Manifest) -> None:
    if not path.is_file():
        raise Refused(f"The backup is damaged: {path} is missing. Use another one.")
    if files.digest(path) != saved.sha256:
        raise Refused(f"The backup is damaged: {path} is not what was written. Use another one.")


def _demand_files_whole(
    chosen: Settings, copy: Connection, folder: Path, saved: Manifest, path: Path | None
) -> set[str]:
    """Returns the keys of the files that are not to be restored."""
    gone = set(saved.gone)
    expected = progress.shown("checked", (file for file in files.named(copy) if file.key not in gone), saved.files)
    if path is None:
        faults = files.find_faults(folder / STORAGE, expected)
    else:
        faults = []
        with keys.shelf(chosen, folder / STORAGE, path) as shelf:
            _demand_store(shelf.open_keys().store.id, saved, path)
            for file in expected:
                if not keys.has_key(shelf, file.key):
                    gone.add(file.key)
                elif said := keys.find_fault(shelf, file.key, file.sha256):
                    faults.append(said)
    if faults:
        raise Refused(f"The backup is damaged:\n{files.enumerate_faults(faults)}\nUse another one.")
    return gone


def _demand_store(found: str, saved: Manifest, place: object) -> None:
    if found != saved.sealed_by:
        raise Refused(f"{place} has the keys of the store {found}, and the backup was sealed by {saved.sealed_by}.")


def _demand_no_rows(chosen: Settings) -> None:
    target = make_url(chosen.database_url)
    if engines.exists(target):
        with engines.snapshot(target) as sql:
            rows.demand_none(sql)


def _find_own(chosen: Settings, copy: Connection, folder: Path, *, is_sealed: bool) -> set[str]:
    """The keys that an earlier restore has put there; anything else there is refused."""
    objects = Objects(chosen.storage_url)
    there = set(objects.list_keys("t/"))
    strange, own = set(there), set()
    for file in files.named(copy) if there else ():
        if file.key in there and _is_own(chosen, objects, file, folder, is_sealed=is_sealed):
            strange.discard(file.key)
            own.add(file.key)
    if strange:
        raise Refused(
            f"The storage {chosen.storage_url} has {len(strange):,} files already that are not of this backup, such as "
            f"{min(strange)}: restore into an empty one."
        )
    return own


def _is_own(chosen: Settings, objects: Objects, file: Named, folder: Path, *, is_sealed: bool) -> bool:
    if is_sealed:
        path = folder / STORAGE / file.key
        return path.is_file() and files.digest_of(objects.stream(file.key)[1]) == files.digest(path)
    # Sealed anew on its way, by a key store that has begun by then.
    return keys.store_of(chosen) is not None and (keys.find_fault(Storage(chosen), file.key, file.sha256) is None)


def _put_keys(chosen: Settings, path: Path, saved: Manifest) -> None:
    begun = keys.store_of(chosen)
    if begun is None:
        keys.put(path, make_url(chosen.keys_url))
    else:
        # These are of a later moment: what was erased since stays erased.
        _demand_store(begun, saved, "The place to restore to")


def _put_files(chosen: Settings, copy: Connection, folder: Path, *, saved: Manifest, left_out: set[str]) -> None:
    storage = Storage(chosen)
    put = storage.put_file if saved.sealed_by is None else storage.put_sealed
    # Claims the storage for the key store.
    storage.open_keys()
    waiting = (file for file in files.named(copy) if file.key not in left_out)
    for file in progress.shown("restored", waiting, max(0, saved.files - len(left_out))):
        put(file.key, folder / STORAGE / file.key)


def _put_rows(chosen: Settings, copy: Connection, saved: Manifest) -> None:
    with engines.writing(make_url(chosen.database_url)) as sql:
        # Asked again: somebody may have started the service since.
        rows.demand_none(sql)
        schema.make(sql, saved.revision)
        rows.copy(copy, sql, rows.names(copy))
        # Their workers know another database: let the next tick take them back at once.
        sql.execute(update(jobs).where(jobs.c.state == RUNNING).values(lease_until=now()))
        schema.upgrade(sql)
