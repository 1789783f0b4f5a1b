"""JSON of many rows as Arrow columns whose names and types never depend on the rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

Json = Mapping[str, Any]

NUMBER, TEXT, NUMBERS, TEXTS, COUNT = (
    pa.float64(),
    pa.string(),
    pa.list_(pa.float64()),
    pa.list_(pa.string()),
    pa.int64(),
)


def columns(rows: Sequence[Json | None], schema: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """A column for each name of the schema; what a row does not say is empty."""
    return {
        name: pa.array([None if row is None else row.get(name) for row in rows], kind) for name, kind in schema.items()
    }
