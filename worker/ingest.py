"""From uploaded table files to canonical Parquet and a profile; the reading itself happens in a confined child."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shared import sandbox
from shared.confinement import Bounds
from shared.containment.landlock import Reach
from shared.errors import JobFailed
from worker.formats.limits import Limits

PART = "part-00000.parquet"

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class UploadedFile:
    """A file as the client named it, and where its bytes lie here."""

    name: str
    path: Path


@dataclass(frozen=True)
class Ingested:
    """The canonical files in row order, and what the table is like."""

    paths: list[Path]
    profile: Json


def run(
    files: Sequence[UploadedFile],
    *,
    columns: Mapping[str, Any],  # Any: a name, or a list of names, for each role
    out_dir: Path,
    progress: Callable[[int, int | None], None],
    limits: Limits = Limits(),  # noqa: B008 — frozen
    bounds: Bounds = Bounds(),  # noqa: B008 — frozen
) -> Ingested:
    """Read tables in the order of their names. Raises JobFailed with every fault by file, row and column."""
    if not files:
        raise JobFailed("The dataset has no files: upload one before the commit.", code="dataset_rejected")
    path = out_dir.resolve() / PART
    request = {
        "files": [
            {"name": file.name, "path": str(file.path.resolve())} for file in sorted(files, key=lambda file: file.name)
        ],
        "columns": dict(columns),
        "out": str(path),
        "limits": asdict(limits),
    }
    reach = Reach(tuple(str(file.path.resolve()) for file in files), (str(path.parent),))
    profile = sandbox.run("worker.decode", request, bounds=bounds, progress=progress, reach=reach)
    # The child has read hostile bytes: what it says is not followed to another file.
    if path.is_symlink() or not path.is_file():
        raise JobFailed(sandbox.SAID["decoder_crashed"], code="decoder_crashed")
    return Ingested([path], profile)
