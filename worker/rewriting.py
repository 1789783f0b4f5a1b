"""Stores what is left of a version of a dataset beside what is there, and says what it is known by then."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from shared import datasets, pseudonyms, storage
from shared.errors import JobFailed, NotFound
from worker import partial
from worker.desk import DIGESTS_SUFFIX, Desk

Json = dict[str, Any]  # Any: JSON

# What is kept of what was said of a version: how it was made.
KEPT = ("masking", "corrected")
# Warnings of how its columns were taken, and of versions beside it.
KEPT_WARNINGS = ("target_inferred", "group_inferred", "id_inferred", "newer_versions")


def is_wanted(desk: Desk, name: str, pseudonym: str) -> Callable[[str], bool]:
    """Whether a key is that of the row of this pseudonym, in the datasets of a name."""
    of = functools.partial(pseudonyms.of_row, desk.settings.pepper, desk.claim.tenant, name)
    return lambda key: of(key) == pseudonym


def put(desk: Desk, row: Row[Any], paths: Sequence[Path]) -> list[Json]:
    """As `desk.put_parts`, in a folder that no ingest writes to: fences count the attempts of one job alone."""
    parts = []
    for path in paths:
        parts.append(_put(desk, row, path.name, path))
        if path.stat().st_size >= partial.FROM_BYTES:
            parts.append(_put(desk, row, path.name + DIGESTS_SUFFIX, partial.digests(path)))
    return parts


def put_upload(desk: Desk, row: Row[Any], path: Path) -> Json:
    """A file from which another version may be made, in the same folder: nobody sweeps that while the job runs."""
    return _put(desk, row, path.name, path)


def _put(desk: Desk, row: Row[Any], name: str, content: Path | bytes) -> Json:
    desk.check()
    claim = desk.claim
    key = f"{storage.dataset_folder(claim.tenant, row.id)}parts/{claim.job_id}-{claim.fence}/{name}"
    kept = desk.storage.put(key, [content]) if isinstance(content, bytes) else desk.storage.put_file(key, content)
    return {"name": name, "key": key, "size_bytes": kept.size_bytes, "sha256": kept.sha256}


def identify(row: Row[Any], parts: Sequence[Json]) -> str:
    """What the version is now known by: it follows from what it was, and from what is left."""
    content = "\n".join([row.sha256, *(f"{part['name']} {part['sha256']}" for part in parts)])
    return hashlib.sha256(content.encode()).hexdigest()


def profile(row: Row[Any], read: Json) -> Json:
    """The profile of what is left, and of the one before what says how the version was made."""
    told = {each["code"] for each in read["warnings"]}
    kept = [each for each in row.profile["warnings"] if each["code"] in KEPT_WARNINGS and each["code"] not in told]
    said = {name: row.profile[name] for name in KEPT if name in row.profile}
    return {**read, **said, "warnings": [*kept, *read["warnings"]]}


def chain(desk: Desk, row: Row[Any]) -> list[tuple[Row[Any], list[Row[Any]]]]:
    """The versions that a dataset is made of, each with its files, the oldest first; nothing if one of them is gone."""
    found = []
    with desk.database.reading() as sql:
        version = row
        while True:
            found.append((version, datasets.files(sql, version.id)))
            if version.base is None:
                return found[::-1]
            try:
                version = datasets.find(sql, desk.claim.tenant, version.base)
            except NotFound:
                return []


def nothing_left(row: Row[Any]) -> JobFailed:
    named = f"{row.name}@{row.version}"
    said = f'Nothing would be left of {named}: erase it as a whole ({{"dataset": "{named}"}}), then retry this job.'
    return JobFailed(said, code="nothing_left")
