"""What a table is like: types, missing values, ranges, classes, duplicates. Learned batch by batch, within bounds."""

import hashlib
import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from worker.formats.source import TYPE_NAMES, Mixed

# Up to here distinct values are counted exactly and listed; beyond, they are estimated.
EXACT_DISTINCT = 1000
# 2^12 registers: a standard error of 1.6 % (Flajolet et al. 2007, HyperLogLog).
HLL_BITS = 12
# Eight bytes a row are kept to find duplicates; beyond this many rows they are not looked for.
ROWS_COMPARED = 8_000_000
MOSTLY_MISSING = 0.5

Json = dict[str, Any]


class ColumnProfile:
    """One column's figures, so far."""

    def __init__(self, name: str, kind: pa.DataType) -> None:
        self.name, self.kind = name, kind
        self.rows = self.missing = 0
        self.mean = self.squares = 0.0
        self.low, self.high = math.inf, -math.inf
        self.counts: Counter[Any] | None = Counter()
        self.registers = np.zeros(2**HLL_BITS, np.uint8)

    def take(self, column: pa.Array, hashes: np.ndarray) -> None:
        self.rows += len(column)
        self.missing += column.null_count
        present = column.drop_null()
        if len(present) == 0:
            return
        self._estimate(hashes[pc.is_valid(column).to_numpy(zero_copy_only=False)])
        if self.kind in (pa.float64(), pa.int64()):
            self._measure(pc.cast(present, pa.float64(), safe=False).to_numpy())
        self._count(present)

    def _measure(self, values: np.ndarray) -> None:
        # Chan, Golub & LeVeque 1979: mean and squares of two parts make those of the whole.
        before, new = self.rows - self.missing - len(values), len(values)
        shift = float(values.mean()) - self.mean
        self.mean += shift * new / (before + new)
        self.squares += float(((values - values.mean()) ** 2).sum()) + shift**2 * before * new / (before + new)
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))

    def _count(self, present: pa.Array) -> None:
        if self.counts is None:
            return
        found = pc.value_counts(present)
        self.counts.update(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))
        if len(self.counts) > EXACT_DISTINCT:
            self.counts = None

    def _estimate(self, hashes: np.ndarray) -> None:
        places = (hashes >> np.uint64(64 - HLL_BITS)).astype(np.int64)
        rest = (hashes << np.uint64(HLL_BITS)) | np.uint64(2 ** (HLL_BITS - 1))
        ranks = 1 + (63 - np.floor(np.log2(rest.astype(np.float64)))).astype(np.uint8)
        np.maximum.at(self.registers, places, ranks)

    @property
    def distinct(self) -> int:
        if self.counts is not None:
            return len(self.counts)
        size = 2**HLL_BITS
        estimate = 0.7213 / (1 + 1.079 / size) * size**2 / float(np.sum(2.0 ** -self.registers.astype(float)))
        return min(max(EXACT_DISTINCT + 1, round(estimate)), self.rows - self.missing)

    def as_json(self, mixed: Mixed | None) -> Json:
        said: Json = {
            "name": self.name,
            "type": TYPE_NAMES[self.kind],
            "missing": self.missing,
            "distinct": self.distinct,
            "constant": self.distinct <= 1,
        }
        if self.kind in (pa.float64(), pa.int64()) and self.rows > self.missing:
            spread = math.sqrt(self.squares / (self.rows - self.missing))
            said |= {"min": self.low, "max": self.high, "mean": self.mean, "std": spread}
        if self.kind != pa.float64() and self.counts is not None:
            said["top"] = [[_shown(value), count] for value, count in self._ordered()]
        return said if mixed is None else {**said, "mixed": {"count": mixed.count, "rows": mixed.rows}}

    def _ordered(self) -> list[tuple[Any, int]]:
        counts = self.counts or Counter()
        return sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))


class TableProfile:
    """The figures of a whole table."""

    def __init__(self, types: dict[str, pa.DataType], roles: Json) -> None:
        self.columns = {name: ColumnProfile(name, kind) for name, kind in types.items()}
        self.roles, self.rows = roles, 0
        self._rows: list[np.ndarray] | None = []

    def take(self, batch: pa.RecordBatch) -> None:
        row_hashes = np.zeros(batch.num_rows, np.uint64)
        for place, (name, column) in enumerate(self.columns.items()):
            hashes = hash_values(batch.column(place))
            column.take(batch.column(place), hashes)
            if name != self.roles["id"]:
                row_hashes = mix(row_hashes ^ hashes)
        self.rows += batch.num_rows
        if self._rows is not None and self.rows <= ROWS_COMPARED:
            self._rows.append(row_hashes)
        else:
            self._rows = None

    def as_json(self, mixed: dict[str, Mixed]) -> Json:
        columns = [column.as_json(mixed.get(name)) for name, column in self.columns.items()]
        said: Json = {"rows": self.rows, "columns": columns, "roles": self.roles, "duplicates": self.duplicates()}
        targets = [self.columns[name] for name in self.roles["target"]]
        if len(targets) == 1 and targets[0].kind != pa.float64() and targets[0].counts is not None:
            said["classes"] = {_shown(value): count for value, count in targets[0]._ordered()}
        return {**said, "warnings": self._warnings(mixed)}

    def duplicates(self) -> int | None:
        """How many rows equal an earlier one in everything but the id; None when the table was too long to tell."""
        if self._rows is None:
            return None
        return self.rows - len(np.unique(np.concatenate(self._rows))) if self._rows else 0

    def _warnings(self, mixed: dict[str, Mixed]) -> list[Json]:
        found: list[Json] = []
        for name, column in self.columns.items():
            if column.missing > MOSTLY_MISSING * self.rows:
                share = round(100 * column.missing / self.rows)
                found.append({"code": "mostly_missing", "detail": f"Column {name} is {share} % empty."})
            elif column.distinct <= 1:
                found.append({"code": "constant_column", "detail": f"Column {name} has one value throughout."})
            if name in mixed:
                rows = ", ".join(str(row) for row in mixed[name].rows[:10])
                said = f"Column {name} holds numbers, but {mixed[name].count} cells are text: rows {rows}."
                found.append({"code": "mixed_types", "detail": said})
        if self.duplicates():
            found.append({"code": "duplicates", "detail": f"{self.duplicates()} rows repeat an earlier one."})
        key = self.columns.get(self.roles["id"] or "")
        if key is not None and key.counts is not None and key.distinct < self.rows:
            found.append({"code": "id_not_unique", "detail": f"Column {key.name} names some rows more than once."})
        return found


def hash_values(column: pa.Array) -> np.ndarray:
    """A 64-bit hash of every cell, equal for equal values; missing cells have one of their own."""
    if column.type in (pa.float64(), pa.int64()):
        filled = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
        hashes = mix(filled.view(np.uint64) ^ np.uint64(0x9E3779B97F4A7C15))
    else:
        coded = pc.cast(column, pa.string()).dictionary_encode()
        words = [_hash_text(word) for word in coded.dictionary.to_pylist()]
        table = np.array([*words, 0], np.uint64)
        hashes = table[pc.fill_null(coded.indices, len(words)).to_numpy(zero_copy_only=False)]
    if column.null_count:
        hashes = np.where(pc.is_null(column).to_numpy(zero_copy_only=False), np.uint64(1), hashes)
    return hashes


def mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): spreads every bit over all others."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _hash_text(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def _shown(value: Any) -> str:  # Any: a cell
    return str(value).lower() if isinstance(value, bool) else str(value)
