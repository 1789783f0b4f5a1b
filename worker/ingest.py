"""From uploaded table files to canonical Parquet and a profile; the reading itself happens in a confined child."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker import sandbox
from worker.formats.source import Limits

Json = dict[str, Any]


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
    files: list[UploadedFile],
    *,
    columns: Json,
    out_dir: Path,
    progress: Callable[[int, int | None], None],
    limits: Limits = Limits(),  # noqa: B008 — frozen
    bounds: sandbox.Bounds = sandbox.Bounds(),  # noqa: B008 — frozen
) -> Ingested:
    """Read tables in the order of their names. Raises JobFailed with every fault by file, row and column."""
    ordered = sorted(files, key=lambda file: file.name)
    request = {
        "files": [{"name": file.name, "path": str(file.path)} for file in ordered],
        "columns": columns,
        "out_dir": str(out_dir),
        "limits": asdict(limits),
    }
    done = sandbox.run("worker.decode", request, bounds=bounds, progress=progress)
    return Ingested([Path(path) for path in done["paths"]], done["profile"])
