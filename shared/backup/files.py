"""The stored files that rows name, and whether a folder has them as they were written."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import Connection, Select, select

from shared.backup import Refused
from shared.jobs import QUEUED, RUNNING
from shared.tables import dataset_files, datasets, jobs, outputs, versions

BLOCK_BYTES = 1024 * 1024
ROWS_AT_ONCE = 200
# What no person reads through.
SHOWN = 20


@dataclass(frozen=True)
class Named:
    """A file that a row names; without its checkpoint a job can do."""

    key: str
    sha256: str
    is_checkpoint: bool = False


def named(sql: Connection) -> Iterator[Named]:
    """Every file that a row names; checkpoints only of jobs that will run on."""
    for chosen in (select(versions.c.files), select(datasets.c.parts)):
        for listed in _stream(sql, chosen):
            yield from (_named(file["key"], file["sha256"]) for file in listed[0] or ())
    for table in (dataset_files, outputs):
        yield from (_named(*row) for row in _stream(sql, select(table.c.key, table.c.sha256)))
    for row in _stream(sql, select(jobs.c.checkpoint).where(jobs.c.state.in_((QUEUED, RUNNING)))):
        recorded = row[0]
        while recorded is not None:
            yield _named(recorded["key"], recorded["sha256"], is_checkpoint=True)
            recorded = recorded["before"]


def find_faults(folder: Path, expected: Iterable[Named]) -> list[str]:
    """A sentence for each file that is not in the folder, or not as its row says."""
    return [said for file in expected if (said := _find_fault(folder / file.key, file))]


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(blocks: Iterable[bytes | memoryview]) -> str:
    made = hashlib.sha256()
    for block in blocks:
        made.update(block)
    return made.hexdigest()


def enumerate_faults(faults: list[str]) -> str:
    """The first faults, a line each, and how many more there are."""
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return "\n".join(f"  {said}" for said in [*faults[:SHOWN], *more])


def _stream(sql: Connection, chosen: Select[Any]) -> Iterator[Any]:  # Any: rows of one or two columns
    return iter(sql.execute(chosen.execution_options(yield_per=ROWS_AT_ONCE)))


def _named(key: str, sha256: str, *, is_checkpoint: bool = False) -> Named:
    # A backup comes from outside: its rows may name no place beyond the folder.
    if not key.startswith("t/") or ".." in PurePosixPath(key).parts:
        raise Refused(f"A row names a file at {key!r}, which is no place in the storage: trust nothing of it.")
    return Named(key, sha256, is_checkpoint)


def _find_fault(path: Path, file: Named) -> str | None:
    if not path.is_file():
        return f"{file.key} is missing"
    return None if digest(path) == file.sha256 else f"{file.key} is not what was written"
