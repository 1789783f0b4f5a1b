"""What every table reader offers: the columns, and typed batches in file order; and the faults it has met."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from shared.errors import Fault, JobFailed

# Flat, and each with one meaning: what the canonical Parquet holds.
NUMBER, INTEGER, TEXT, BOOLEAN = pa.float64(), pa.int64(), pa.string(), pa.bool_()
TYPE_NAMES = {NUMBER: "number", INTEGER: "integer", TEXT: "text", BOOLEAN: "boolean"}

ROWS_A_BATCH = 65_536


@dataclass(frozen=True)
class Limits:
    """Bounds on what is produced, whatever a header declares (rule R15 of the security notes)."""

    rows: int = 50_000_000
    columns: int = 512
    field_bytes: int = 64 * 1024
    table_bytes: int = 16 * 1024**3
    name_characters: int = 255


@dataclass
class Mixed:
    """Cells that are no numbers in a column that otherwise is."""

    count: int = 0
    rows: list[int] = field(default_factory=list)


class Faults:
    """Collects what is wrong, the first hundred with their places, and counts the rest."""

    KEPT = 100

    def __init__(self, file: str) -> None:
        self.file = file
        self.kept: list[Fault] = []
        self.total = 0

    def add(self, message: str, *, row: int | None = None, column: str | None = None) -> None:
        self.total += 1
        if len(self.kept) < self.KEPT:
            self.kept.append(Fault(message, file=self.file, row=row, column=column))

    def refuse(self, code: str, message: str, *, row: int | None = None, column: str | None = None) -> JobFailed:
        """The error for a fault that ends the reading at once."""
        said = f"{self.file}: {message}"
        return JobFailed(said, code=code, faults=[Fault(message, file=self.file, row=row, column=column)])


class Source(Protocol):
    """One uploaded table, opened."""

    name: str
    types: dict[str, pa.DataType]
    mixed: dict[str, Mixed]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Typed batches of at most ROWS_A_BATCH rows, in file order, columns as in `types`."""


def check_names(names: list[str], limits: Limits, faults: Faults) -> None:
    """Refuse a header that is empty, too wide, or names a column twice or not at all."""
    if len(names) > limits.columns:
        raise faults.refuse(
            "table_too_many_columns", f"expected at most {limits.columns} columns, received {len(names)}"
        )
    seen: set[str] = set()
    for place, name in enumerate(names, start=1):
        if not name.strip():
            raise faults.refuse("csv_shape", f"expected a name for column {place}, received an empty one")
        if len(name) > limits.name_characters or not name.isprintable():
            said = f"expected a printable name of at most {limits.name_characters} characters for column {place}"
            raise faults.refuse("column_name", said)
        if name in seen:
            raise faults.refuse("csv_duplicate_column", f"column {name!r} is there twice", column=name)
        seen.add(name)


def check_rows(rows: int, columns: int, limits: Limits, faults: Faults) -> None:
    """Refuse more rows, or more cells, than the limits allow."""
    if rows > limits.rows or rows * columns * 8 > limits.table_bytes:
        said = f"expected at most {limits.rows:,} rows and {limits.table_bytes:,} bytes, received {rows:,} rows"
        raise faults.refuse("table_too_large", f"{said} of {columns} columns")
