"""Has uploads read in the confined child, and believes of its answer only what can be seen in the file that it left."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared import sandbox
from shared.confinement import Bounds
from shared.containment.landlock import Reach
from shared.errors import Fault, JobFailed
from shared.play_roles import NAMES, USER, is_item_file
from worker.formats.limits import Limits
from worker.formats.source import rejection
from worker.ingest import UploadedFile

__all__ = ["Decoded", "decode_interactions", "decode_items", "is_item_file"]

Json = dict[str, Any]  # Any: JSON
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Decoded:
    """A table of rows of text: where it lies, whose rows they are (name and count), and what the child has said."""

    path: Path
    files: list[tuple[str, int]]
    said: Json


def decode_interactions(
    files: Sequence[UploadedFile], columns: Mapping[str, Any], folder: Path, progress: Progress, **rest: Any
) -> Decoded:
    """Interactions as columns of text, each with a role. Raises JobFailed with every fault."""
    decoded = _decode(files, {"of": "interactions", "columns": dict(columns)}, folder, progress, **rest)
    roles = [name for name in decoded.said["roles"].values() if name is not None]
    kinds = _schema(decoded.path)
    if any(kinds.get(name) != pa.string() for name in roles) or len(set(roles)) < len(roles):
        raise _crashed()
    return decoded


def decode_items(
    files: Sequence[UploadedFile], item: str | None, user: str | None, folder: Path, progress: Progress, **rest: Any
) -> Decoded:
    """An item table with its columns; `item` and `user` are how the interactions call theirs.

    Raises JobFailed for a column of listeners: of an item table none get pseudonyms.
    """
    decoded = _decode(files, {"of": "items", "item": item}, folder, progress, **rest)
    names, key = _schema(decoded.path), decoded.said["key"]
    if key not in names:
        raise _crashed()
    listeners = [name for name in names if name != key and (name == user or name.lower() in NAMES[USER])]
    if listeners:
        said = (
            "expected columns of items, received one that is called as listeners are: drop it (`--hide COLUMN=drop`), "
            "or give the file a name that does not begin with items, if it holds plays"
        )
        faults = [Fault(said, column=name, code="column_roles") for name in listeners]
        raise JobFailed(f"The item table cannot be taken: {said}.", code="dataset_rejected", faults=faults)
    return decoded


def _decode(
    files: Sequence[UploadedFile],
    request: Json,
    folder: Path,
    progress: Progress,
    *,
    limits: Limits = Limits(),  # noqa: B008 — frozen
    bounds: Bounds = Bounds(),  # noqa: B008 — frozen
) -> Decoded:
    path = folder.resolve() / f"read-{request['of']}.parquet"
    ordered = sorted(files, key=lambda file: file.name)
    named = [{"name": file.name, "path": str(file.path.resolve())} for file in ordered]
    request = {**request, "files": named, "out": str(path), "limits": asdict(limits)}
    reach = Reach(tuple(file["path"] for file in named), (str(path.parent),))
    try:
        said = sandbox.run("worker.interactions.decode", request, bounds=bounds, progress=progress, reach=reach)
    except JobFailed as failed:
        raise _unquoted(failed) from failed
    # The child has read hostile bytes: what it says is not followed to another file, nor past the end of this one.
    if path.is_symlink() or not path.is_file():
        raise _crashed()
    counts = [(str(file["name"]), int(file["rows"])) for file in said["files"]]
    if [name for name, _ in counts] != [file.name for file in ordered] or sum(n for _, n in counts) != _rows(path):
        raise _crashed()
    return Decoded(path, counts, said)


def _unquoted(failed: JobFailed) -> JobFailed:
    """The same without the text of a cell, for a job keeps its error, from which nobody is erased."""
    if all(fault.code != "value_not_finite" for fault in failed.faults):
        return failed
    faults = [
        replace(fault, message="expected a finite number") if fault.code == "value_not_finite" else fault
        for fault in failed.faults
    ]
    return rejection(faults, failed.faults_total)


def _rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as cause:
        raise _crashed() from cause


def _schema(path: Path) -> dict[str, pa.DataType]:
    return {field.name: field.type for field in pq.read_schema(path)}


def _crashed() -> JobFailed:
    return JobFailed(sandbox.SAID["decoder_crashed"], code="decoder_crashed")
