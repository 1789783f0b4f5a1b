"""Learns what a column of text holds: integers, numbers, true and false, or text."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from worker.formats.source import BOOLEAN, INTEGER, NUMBER, TEXT, Faults, Mixed

INTEGER_PATTERN = r"^[+-]?[0-9]{1,18}$"
NUMBER_PATTERN = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?$"
INFINITE_PATTERN = r"(?i)^[+-]?inf(inity)?$"
# A number of more digits than this is a mistake; and a way to keep a parser busy.
DIGITS_AT_MOST = 400
# From this share of numbers on, the rest of a column is more likely a fault than a category.
MOSTLY = 0.9
ROWS_KEPT = 100


class Learned:
    """What the cells of one column have been, so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.present = self.integers = self.numbers = self.booleans = 0
        self.infinite: list[int] = []
        self.infinite_count = 0
        self.mixed = Mixed()

    def take(self, column: pa.Array, *, first_row: int) -> None:
        """Look at the next cells; `first_row` is the row number of the first."""
        present = len(column) - column.null_count
        self.present += present
        if present == 0:
            return
        trimmed = pc.utf8_trim_whitespace(column)
        integers = _count(pc.match_substring_regex(trimmed, INTEGER_PATTERN))
        self.integers += integers
        if integers == present:
            self.numbers += present
            return
        self._take_numbers(trimmed, first_row)
        self.booleans += _count(pc.is_in(pc.utf8_lower(trimmed), value_set=pa.array(["true", "false"])))

    def _take_numbers(self, trimmed: pa.Array, first_row: int) -> None:
        written = pc.match_substring_regex(trimmed, NUMBER_PATTERN)
        short = pc.less_equal(pc.utf8_length(trimmed), DIGITS_AT_MOST)
        values = pc.cast(pc.if_else(pc.and_(written, short), trimmed, "0"), pa.float64())
        infinite = pc.or_(pc.match_substring_regex(trimmed, INFINITE_PATTERN), pc.invert(pc.is_finite(values)))
        infinite = pc.or_(infinite, pc.and_(written, pc.invert(short)))
        self.numbers += _count(pc.or_(written, infinite))
        self.infinite_count += _count(infinite)
        self.infinite += _rows(infinite, first_row, ROWS_KEPT - len(self.infinite))
        other = pc.invert(pc.or_(written, infinite))
        self.mixed.count += _count(other)
        self.mixed.rows += _rows(other, first_row, ROWS_KEPT - len(self.mixed.rows))

    def type(self) -> pa.DataType:
        if self.present and self.integers == self.present:
            return INTEGER
        if self.present == 0 or self.numbers == self.present:
            return NUMBER
        return BOOLEAN if self.booleans == self.present else TEXT

    def is_mixed(self) -> bool:
        return self.type() == TEXT and self.numbers >= MOSTLY * self.present

    def tell(self, faults: Faults, row_in_file: Callable[[int], int]) -> None:
        """Report the cells that are numbers without a value, unless the column is text."""
        if self.type() == TEXT and not self.is_mixed():
            return
        for row in self.infinite:
            faults.add("expected a finite number", row=row_in_file(row), column=self.name)
        faults.total += self.infinite_count - len(self.infinite)


def _count(mask: pa.Array) -> int:
    return int(pc.sum(pc.cast(mask, pa.int64())).as_py() or 0)


def _rows(mask: pa.Array, first_row: int, at_most: int) -> list[int]:
    if at_most <= 0:
        return []
    return [first_row + int(row) for row in pc.indices_nonzero(pc.fill_null(mask, False))[:at_most].to_pylist()]
