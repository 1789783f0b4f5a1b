"""What one column is like, learned batch by batch: missing and distinct cells, range, mean, frequent values."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from worker import hashes
from worker.formats.source import INTEGER, NUMBER, TEXT, TYPE_NAMES

# Up to here distinct values are counted exactly and listed; beyond, they are estimated.
EXACT_DISTINCT = 1000
# A column with a longer text is prose, and its values are not listed.
LISTED_BYTES = 256
# From this share of numbers on, the rest of a text column is more likely a mistake than a category.
MOSTLY = 0.9
MIXED_ROWS_SHOWN = 100
NUMBER_PATTERN = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"

Json = dict[str, Any]  # Any: JSON


class Figures:
    """One column's figures, so far."""

    def __init__(self, name: str, kind: pa.DataType) -> None:
        self.name, self.kind = name, kind
        self.rows = self.missing = 0
        self._mean = self._squares = 0.0
        self._range: tuple[Any, Any] | None = None  # Any: int or float, as the column is
        self.counts: Counter[Any] | None = Counter()  # Any: a cell
        self._estimate, self._at_least = hashes.Estimate(), 0
        self._numeric = 0
        self._other_rows: list[int] = []

    def take(self, column: pa.Array) -> np.ndarray:
        """Look at the next cells; returns one hash a cell."""
        first_row = self.rows
        self.rows += len(column)
        self.missing += column.null_count
        if self.kind in (NUMBER, INTEGER):
            found = hashes.of_numbers(column)
            self._measure(column.drop_null())
            self._count(column, found)
            return found
        coded = (column if self.kind == TEXT else pc.cast(column, TEXT)).dictionary_encode()
        words = coded.dictionary.to_pylist()
        table = np.append(hashes.of_words(words), hashes.MISSING)
        found = table[pc.fill_null(coded.indices, len(words)).to_numpy(zero_copy_only=False)]
        self._note_mixed(coded, first_row)
        self._count(column, found)
        return found

    def _measure(self, present: pa.Array) -> None:
        if len(present) == 0:
            return
        spread = pc.min_max(present).as_py()
        low, high = self._range or (spread["min"], spread["max"])
        self._range = min(low, spread["min"]), max(high, spread["max"])
        # Chan, Golub & LeVeque 1979: mean and squares of two parts make those of the whole.
        values = present.to_numpy().astype(np.float64)
        before, new = self.rows - self.missing - len(values), len(values)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(values.mean())
            shift = mean - self._mean
            self._mean += shift * new / (before + new)
            self._squares += float(((values - mean) ** 2).sum()) + shift * shift * before * new / (before + new)

    def _count(self, column: pa.Array, found: np.ndarray) -> None:
        present = found[pc.is_valid(column).to_numpy(zero_copy_only=False)] if column.null_count else found
        if self.counts is None:
            self._estimate.add(present)
            return
        tally = pc.value_counts(column.drop_null())
        values = tally.field(0)
        is_listed = self.kind != TEXT or (pc.max(pc.binary_length(values)).as_py() or 0) <= LISTED_BYTES
        if is_listed and len(values) <= EXACT_DISTINCT:
            self.counts.update(dict(zip(values.to_pylist(), tally.field(1).to_pylist(), strict=True)))
            if len(self.counts) <= EXACT_DISTINCT:
                return
        self._at_least = max(len(self.counts), len(values))
        self._estimate.add(self._hash_counted())
        self._estimate.add(present)
        self.counts = None

    def _hash_counted(self) -> np.ndarray:
        values = list(self.counts or ())
        if self.kind in (NUMBER, INTEGER):
            return hashes.of_numbers(pa.array(values, self.kind))
        return hashes.of_words([shown(value) for value in values])

    def _note_mixed(self, coded: pa.DictionaryArray, first_row: int) -> None:
        if self.kind != TEXT:
            return
        is_number = pc.match_substring_regex(coded.dictionary, NUMBER_PATTERN)
        numeric = pc.fill_null(pc.take(is_number, coded.indices), True).to_numpy(zero_copy_only=False)
        other = np.flatnonzero(~numeric)
        self._numeric += len(numeric) - len(other) - coded.null_count
        kept = other[: MIXED_ROWS_SHOWN - len(self._other_rows)]
        self._other_rows += [first_row + int(row) for row in kept]

    @property
    def present(self) -> int:
        return self.rows - self.missing

    @property
    def distinct(self) -> int:
        if self.counts is not None:
            return len(self.counts)
        return min(max(self._at_least, self._estimate.value()), self.present)

    @property
    def mixed(self) -> Json | None:
        """How many cells of a text column are no numbers, when nearly all are."""
        count = self.present - self._numeric
        if self.kind != TEXT or count == 0 or self._numeric < MOSTLY * self.present:
            return None
        return {"count": count, "rows": self._other_rows}

    @property
    def is_listed(self) -> bool:
        """Whether the values can be told one by one, as labels."""
        return self.counts is not None and self.kind != NUMBER

    def top(self, at_most: int = EXACT_DISTINCT) -> list[list[Any]]:
        """Value and count, the most frequent first."""
        ordered = sorted((self.counts or Counter()).items(), key=lambda pair: (-pair[1], str(pair[0])))
        return [[shown(value), count] for value, count in ordered[:at_most]]

    def as_json(self) -> Json:
        said: Json = {
            "name": self.name,
            "type": TYPE_NAMES[self.kind],
            "missing": self.missing,
            "distinct": self.distinct,
            "constant": self.distinct <= 1,
        }
        if self.counts is None:
            said["distinct_is_estimate"] = True
        if self._range is not None:
            low, high = self._range
            spread = math.sqrt(self._squares / self.present) if self._squares >= 0 else math.nan
            said |= {"min": low, "max": high, "mean": _told(self._mean), "std": _told(spread)}
        return said if self.mixed is None else {**said, "mixed": self.mixed}


def shown(value: Any) -> str:  # Any: a cell
    """A value as JSON's keys have it: true and false in small letters."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _told(figure: float) -> float | None:
    # Sums of numbers near 1e308 overflow, and JSON knows no infinity.
    return figure if math.isfinite(figure) else None
