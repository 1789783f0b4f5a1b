"""Opens a table file in this process, as the decoder child does."""

import atexit
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from worker import roles
from worker.decode import SOURCES
from worker.formats.limits import Limits
from worker.formats.scratch import Scratch
from worker.formats.sniff import sniff
from worker.formats.source import NUMBER, UNKNOWN, Reading, Source

SCRATCH = Scratch(Path(tempfile.gettempdir()))
atexit.register(SCRATCH.close)


def opened(path: Path, *, columns: dict[str, Any] | None = None, **limits: int) -> Source:
    """The source of a file, its types learned."""
    reading = Reading(
        Limits(**limits),
        SCRATCH,
        is_key=lambda name: roles.is_key(name, columns or {}),
        seen=lambda rows: None,
    )
    return SOURCES[sniff(path, path.name)](path, path.name, reading)


def table(source: Source) -> pa.Table:
    """All rows of a source, in the types that it has learned."""
    types = {name: NUMBER if kind == UNKNOWN else kind for name, kind in source.types.items()}
    return pa.Table.from_batches(list(source.batches(types)), schema=pa.schema(list(types.items())))


def csv(folder: Path, content: str | bytes, **rest: Any) -> Source:
    """The source of a CSV file with this content."""
    path = folder / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return opened(path, **rest)
