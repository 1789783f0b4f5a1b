"""Takes a backup, while everything runs: the rows of one moment first, then the files that they name."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, make_url, select

from shared.backup import DATABASE, STORAGE, Refused, engines, files, manifest, progress, rows, schema
from shared.backup.files import Named
from shared.backup.manifest import FORMAT, Manifest
from shared.database import now
from shared.errors import Unavailable
from shared.settings import Settings
from shared.storage import Storage


def save(chosen: Settings, folder: Path) -> Manifest:
    """Fill an empty folder. Raises Refused when it is not empty, or when a file that a row names is not as written."""
    _demand_empty(folder)
    source, storage = make_url(chosen.database_url), Storage(chosen)
    while True:
        revision, taken_at, counts = _copy_rows(source, folder / DATABASE)
        missing = _fetch(storage, folder)
        erased = [file for file in missing if not file.is_checkpoint]
        if not erased:
            break
        # A dataset or a model was erased meanwhile, so a newer moment does not name its files. What was fetched stays
        # fetched, so each round is shorter than the one before.
        _demand_unnamed(source, erased)
    gone = {file.key for file in missing}
    count, size = _check(folder, gone)
    made = Manifest(
        format=FORMAT, revision=revision, taken_at=taken_at, sha256=files.digest(folder / DATABASE), rows=counts,
        files=count, bytes=size, gone=sorted(gone),
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


def _has_fetched(storage: Storage, file: Named, path: Path) -> bool:
    if path.exists():
        return True
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        storage.fetch(file.key, path)
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


def _check(folder: Path, gone: set[str]) -> tuple[int, int]:
    """Whether the folder holds what its rows name and nothing else; returns how many files and bytes."""
    with engines.snapshot(engines.sealed(folder / DATABASE)) as sql:
        expected = {file.key: file for file in files.named(sql) if file.key not in gone}
    _drop_unnamed(folder / STORAGE, set(expected))
    faults = files.find_faults(folder / STORAGE, progress.shown("checked", expected.values(), len(expected)))
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
