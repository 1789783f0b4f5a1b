"""Takes a backup, while everything runs: the rows of one moment first, then the files that they name."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, make_url, select

from shared.backup import DATABASE, STORAGE, Refused, engines, files, keys, manifest, progress, rows, schema
from shared.backup.files import Named
from shared.backup.manifest import FORMAT, Manifest
from shared.database import now
from shared.errors import Unavailable
from shared.settings import Settings
from shared.storage import Storage


def save(chosen: Settings, folder: Path, *, keys_folder: Path | None = None) -> Manifest:
    """Fill an empty folder, and put the keys of its files into another. Raises Refused when the folder is not empty, or
    when a file that a row names is not as written.
    """
    _demand_empty(folder)
    keys_folder = keys_folder or keys.beside(folder)
    if keys_folder.absolute().is_relative_to(folder.absolute()):
        raise Refused(f"{keys_folder} is within {folder}: keep the keys apart, or what is erased stays in the backup.")
    source, storage = make_url(chosen.database_url), Storage(chosen)
    while True:
        revision, taken_at, counts = _copy_rows(source, folder / DATABASE)
        sealed_by = storage.open_keys().store.id
        missing = _fetch(storage, folder)
        keys.save(chosen, keys_folder)
        with keys.shelf(chosen, folder / STORAGE, keys_folder / keys.KEYS) as shelf:
            missing += _find_keyless(shelf, folder, missing)
            erased = [file for file in missing if not file.is_checkpoint]
            if not erased:
                gone = {file.key for file in missing}
                count, size = _check(shelf, folder, gone)
                break
        # A dataset or a model was erased meanwhile, so a newer moment does not name its files. What was fetched stays
        # fetched, so each round is shorter than the one before.
        _demand_unnamed(source, erased)
    made = Manifest(
        format=FORMAT, revision=revision, taken_at=taken_at, sha256=files.digest(folder / DATABASE), rows=counts,
        files=count, bytes=size, sealed_by=sealed_by, gone=sorted(gone),
    )  # fmt: skip
    manifest.write(folder, made)
    return made


def _demand_empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        raise Refused(f"{folder} is not empty: name a folder that is, or that is not there yet.")


def _copy_rows(source: URL, path: Path) -> tuple[str, str, dict[str, int]]:
    """Every row as of one moment; returns the revision, the moment, and how many rows each table has."""
    if not engines.exists(source):
        raise Refused(f"There is no database at {source.database}: see ETUDE_HOME and ETUDE_DATABASE_URL.")
    path.unlink(missing_ok=True)
    with engines.snapshot(source) as ours, engines.writing(engines.file(path)) as copy:
        revision = schema.revision(ours)
        if revision is None:
            raise Refused(f"The database {source.render_as_string()} has no tables of Etude: see ETUDE_DATABASE_URL.")
        schema.demand_known(revision, "The database")
        taken_at = datetime.fromtimestamp(ours.execute(select(now())).scalar_one(), UTC)
        schema.make(copy, revision)
        return revision, taken_at.isoformat(timespec="milliseconds"), rows.copy(ours, copy, rows.names(copy))


def _fetch(storage: Storage, folder: Path) -> list[Named]:
    """Copy the files that are not here yet; returns those that are nowhere."""
    with engines.snapshot(engines.sealed(folder / DATABASE)) as sql:
        total = sum(1 for _ in files.named(sql))
        return [
            file
            for file in progress.shown("copied", files.named(sql), total)
            if not _has_fetched(storage, file, folder / STORAGE / file.key)
        ]


def _find_keyless(shelf: Storage, folder: Path, missing: list[Named]) -> list[Named]:
    """The files whose keys were destroyed after they were copied."""
    with engines.snapshot(engines.sealed(folder / DATABASE)) as sql:
        known = {file.key for file in missing}
        return [file for file in files.named(sql) if file.key not in known and not keys.has_key(shelf, file.key)]


def _has_fetched(storage: Storage, file: Named, path: Path) -> bool:
    if path.exists():
        return True
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        storage.fetch_sealed(file.key, path)
    except Unavailable as cause:
        path.unlink()
        if cause.code != "file_missing":
            raise
        return False
    return True


def _demand_unnamed(source: URL, missing: list[Named]) -> None:
    with engines.snapshot(source) as sql:
        still = {file.key for file in files.named(sql)} & {file.key for file in missing}
    if still:
        raise Refused(_said([f"{key} is missing" for key in sorted(still)]))


def _check(shelf: Storage, folder: Path, gone: set[str]) -> tuple[int, int]:
    """Whether the folder holds what its rows name and nothing else; returns how many files and bytes."""
    with engines.snapshot(engines.sealed(folder / DATABASE)) as sql:
        expected = {file.key: file for file in files.named(sql) if file.key not in gone}
    _drop_unnamed(folder / STORAGE, set(expected))
    shown = progress.shown("checked", expected.values(), len(expected))
    faults = [said for file in shown if (said := keys.find_fault(shelf, file.key, file.sha256))]
    if faults:
        raise Refused(_said(faults))
    return len(expected), sum((folder / STORAGE / key).stat().st_size for key in expected)


def _drop_unnamed(stored: Path, named: set[str]) -> None:
    for path in stored.rglob("*"):
        if path.is_file() and path.relative_to(stored).as_posix() not in named:
            path.unlink()


def _said(faults: list[str]) -> str:
    return (
        f"The storage is not as its rows say, and there is no backup:\n{files.enumerate_faults(faults)}\n"
        "Put these files back from an older backup; or erase the datasets and models, cancel the jobs, of these ids."
    )
