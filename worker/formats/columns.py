"""Learns what a column of text holds: integers, numbers, true and false, or text."""

import pyarrow as pa
import pyarrow.compute as pc

from shared import sorts
from shared.errors import FAULTS_SHOWN
from worker.formats.source import BOOLEAN, INTEGER, NUMBER, TEXT, UNKNOWN, Cell, widest

MISSING = pa.array(["", "NA", "N/A", "NaN", "nan", "null", "None", "?"])
BOOLEANS = pa.array(["true", "false"])


class Learned:
    """The narrowest type of the cells of one column, so far."""

    def __init__(self, name: str, *, is_key: bool, is_text: bool = False) -> None:
        self.name, self._is_key = name, is_key
        self.kind = TEXT if is_text else UNKNOWN
        self.infinite: list[Cell] = []
        self.infinite_count = 0

    def take(self, column: pa.Array, *, first_row: int) -> None:
        """Look at the next cells; `first_row` is the row number of the first."""
        if self.kind == TEXT or column.null_count == len(column):
            return
        self.kind = widest([self.kind, self._narrowest(column, first_row)])

    def _narrowest(self, column: pa.Array, first_row: int) -> pa.DataType:
        cells, numbers = _numbers(column)
        if numbers is None:
            words = pc.is_in(pc.utf8_lower(cells), value_set=BOOLEANS)
            return BOOLEAN if pc.all(pc.or_(words, pc.is_null(cells))).as_py() else TEXT
        if numbers.null_count == len(numbers):
            return UNKNOWN
        self._note_infinite(numbers, first_row)
        kind = INTEGER if _is_whole(numbers) and _cast(cells, INTEGER) is not None else NUMBER
        # 007 and a number of twenty digits name a row only as long as they stay as they were written.
        return TEXT if self._is_key and not _reads_back(cells, kind) else kind

    def _note_infinite(self, numbers: pa.Array, first_row: int) -> None:
        # The cast also takes spellings of nan that are no token for a missing cell.
        mask = pc.fill_null(pc.invert(pc.is_finite(numbers)), False)
        count = int(pc.sum(mask).as_py() or 0)
        if count == 0:
            return
        self.infinite_count += count
        for place in pc.indices_nonzero(mask)[: FAULTS_SHOWN - len(self.infinite)].to_pylist():
            self.infinite.append(Cell(first_row + place, sorts.of(numbers[place].as_py())))


def convert(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The cells of a column of text as the type that was learned for it."""
    if kind == TEXT:
        return column
    if kind == BOOLEAN:
        return pc.equal(pc.utf8_lower(trim(column)), "true")
    try:
        return pc.cast(column, kind)
    except pa.ArrowInvalid:
        return pc.cast(trim(column), kind)


def trim(column: pa.Array) -> pa.Array:
    """Cells without the blanks around them; a token for a missing cell counts as such with blanks, too."""
    cells = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(cells, value_set=MISSING), pa.scalar(None, TEXT), cells)


def _numbers(column: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """The cells, trimmed if they have to be, and their values, or None if not all are numbers."""
    values = _cast(column, NUMBER)
    if values is not None:
        return column, values
    cells = trim(column)
    return cells, _cast(cells, NUMBER)


def _is_whole(numbers: pa.Array) -> bool:
    # A cast that fails costs ten times one that does not; so the look at the values first.
    return pc.all(pc.equal(pc.floor(numbers), numbers)).as_py() is not False


def _cast(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return pc.cast(cells, kind)
    except pa.ArrowInvalid:
        return None


def _reads_back(cells: pa.Array, kind: pa.DataType) -> bool:
    return pc.all(pc.equal(pc.cast(pc.cast(cells, kind), TEXT), cells)).as_py() is not False
