"""What every table reader offers: the columns, and typed batches in file order; and the faults it has met."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from shared import sorts
from shared.errors import FAULTS_SHOWN, Fault, JobFailed
from worker.formats.limits import Limits
from worker.formats.scratch import Scratch

# Flat, and each with one meaning: what the canonical Parquet holds. UNKNOWN is a column without a present cell.
NUMBER, INTEGER, TEXT, BOOLEAN, UNKNOWN = pa.float64(), pa.int64(), pa.string(), pa.bool_(), pa.null()
TYPE_NAMES = {NUMBER: "number", INTEGER: "integer", TEXT: "text", BOOLEAN: "boolean"}

ROWS_A_BATCH = 65_536
# Long texts and wide tables come in batches of fewer rows: some copies of a batch live at a time.
BATCH_BYTES = 8 * 1024 * 1024

Types = Mapping[str, pa.DataType]


def no_texts(names: Sequence[str]) -> Collection[str]:
    """For a table: what a column holds is learned from its cells."""
    return ()


@dataclass(frozen=True)
class Reading:
    """How a file is to be read: within which limits, where to unpack, whose cells stay as written, who hears of it."""

    limits: Limits
    scratch: Scratch
    is_key: Callable[[str], bool]
    seen: Callable[[int], None]
    # Of a file's columns those that are read as text, whatever stands in them.
    texts: Callable[[Sequence[str]], Collection[str]] = no_texts


class Faults:
    """Collects what is wrong, the first hundred with their places, and counts the rest."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.kept: list[Fault] = []
        self.total = 0

    def add(self, code: str, message: str, *, row: int | None = None, column: str | None = None) -> None:
        self.total += 1
        if len(self.kept) < FAULTS_SHOWN:
            # Libraries quote what they have read, and not every database stores a NUL.
            said = "".join(sign if sign.isprintable() else "?" for sign in message)
            self.kept.append(Fault(said, file=self.file, row=row, column=column, code=code))

    def add_infinite(self, cells: Sequence["Cell"], count: int, *, column: str) -> None:
        """Note numbers without a finite value: `count` in all, the first of them in `cells`."""
        for cell in cells:
            said = f"expected a finite number, received {cell.sort}"
            self.add("value_not_finite", said, row=cell.row, column=column)
        self.total += count - len(cells)

    def refuse(self, code: str, message: str, *, row: int | None = None, column: str | None = None) -> JobFailed:
        """The error that ends the reading of this file at once, with what was found before."""
        self.add(code, message, row=row, column=column)
        return rejection(self.kept, self.total)


@dataclass(frozen=True)
class Cell:
    """A cell that a fault is about, and the sort of what it holds."""

    row: int
    sort: str


class Source(Protocol):
    """One uploaded table, opened."""

    name: str
    rows: int
    types: dict[str, pa.DataType]
    faults: Faults

    def batches(self, types: Types) -> Iterator[pa.RecordBatch]:
        """Batches of bounded size in file order, with these columns and types."""


def rejection(faults: Sequence[Fault], total: int) -> JobFailed:
    """One refusal for all that is wrong with an upload."""
    first = faults[0]
    place = "" if first.file is None else f"{first.file}: "
    more = f" (and {total - 1:,} more faults)" if total > 1 else ""
    said = f"{place}{first.message}{more}. Correct the files and upload them again."
    return JobFailed(said, code="dataset_rejected", faults=faults, faults_total=total)


def widest(kinds: Iterable[pa.DataType]) -> pa.DataType:
    """The narrowest type that holds the cells of all these."""
    found = set(kinds) - {UNKNOWN}
    if not found:
        return UNKNOWN
    if len(found) == 1:
        return found.pop()
    return NUMBER if found == {INTEGER, NUMBER} else TEXT


def infinite_cells(values: pa.Array, *, first_row: int) -> tuple[list[Cell], int]:
    """The first infinite numbers of a column, and how many there are."""
    mask = pc.fill_null(pc.is_inf(values), False)
    count = int(pc.sum(mask).as_py() or 0)
    places = pc.indices_nonzero(mask)[:FAULTS_SHOWN].to_pylist() if count else []
    return [Cell(first_row + place, sorts.of(values[place].as_py())) for place in places], count


def check_names(names: Sequence[str], limits: Limits, faults: Faults) -> None:
    """Refuse a header that is empty, too wide, or names a column twice or not at all."""
    if not names:
        raise faults.refuse("dataset_empty", "expected columns, received none")
    if len(names) > limits.columns:
        said = f"expected at most {limits.columns} columns, received {len(names):,}"
        raise faults.refuse("table_too_many_columns", said)
    wrong = [fault for place, name in enumerate(names) for fault in _name_faults(names, place, name, limits)]
    for code, said, column in wrong:
        faults.add(code, said, column=column)
    if wrong:
        raise rejection(faults.kept, faults.total)


def _name_faults(names: Sequence[str], place: int, name: str, limits: Limits) -> Iterator[tuple[str, str, str | None]]:
    if not name.strip():
        yield "column_name", f"expected a name for column {place + 1}, received an empty one", None
    elif len(name) > limits.name_characters or not name.isprintable():
        said = f"expected a printable name of at most {limits.name_characters} characters for column {place + 1}"
        yield "column_name", said, None
    elif name in names[:place]:
        said = f"expected every name once, received {name!r} for columns {names.index(name) + 1} and {place + 1}"
        yield "duplicate_column", said, name


def check_rows(rows: int, columns: int, limits: Limits, faults: Faults) -> None:
    """Refuse more rows, or more cells, than the limits allow."""
    if rows > limits.rows or rows * columns * 8 > limits.table_bytes:
        said = f"expected at most {limits.rows:,} rows and {limits.table_bytes:,} bytes"
        raise faults.refuse("table_too_large", f"{said}, received {rows:,} rows of {columns} columns")


def check_lengths(column: pa.Array, name: str, limits: Limits, faults: Faults, *, first_row: int) -> None:
    """Refuse a cell of more bytes than a field may have."""
    lengths = pc.binary_length(column)
    longest = pc.max(lengths).as_py() or 0
    if longest > limits.field_bytes:
        row = first_row + pc.index(lengths, longest).as_py()
        said = f"expected cells of at most {limits.field_bytes:,} bytes, received one of {longest:,}"
        raise faults.refuse("field_too_long", said, row=row, column=name)


def check_words(column: pa.Array, name: str, limits: Limits, faults: Faults, *, first_row: int) -> None:
    """Refuse a cell that is too long, no UTF-8 or holds a NUL: no library has looked at it before."""
    check_lengths(column, name, limits, faults, first_row=first_row)
    try:
        pc.cast(column.view(pa.binary()), TEXT)
    except pa.ArrowInvalid as cause:
        row = first_row + next(place for place, cell in enumerate(column.view(pa.binary())) if not _is_utf8(cell))
        raise faults.refuse("text_encoding", "expected UTF-8, received other bytes", row=row, column=name) from cause
    nul = pc.index(pc.fill_null(pc.match_substring(column, "\0"), False), True).as_py()
    if nul >= 0:
        raise faults.refuse("text_encoding", "expected text, received a NUL", row=first_row + nul, column=name)


def _is_utf8(cell: pa.Scalar) -> bool:
    try:
        (cell.as_py() or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
