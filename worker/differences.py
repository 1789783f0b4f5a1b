"""Two scorings side by side: which rows both have, and which of these are predicted otherwise (Arrow and NumPy)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

KEY, PREDICTION = "key", "prediction"
# What a model says of its certainty: told of a row that is predicted otherwise, and no difference by itself.
PROBABILITY = "probability."
# What is repeated from the input, and what depends on the other rows.
NOT_PREDICTED = ("column.", "similar.", "explanation")
# Of numbers that are predicted: single precision, counted by another processor, comes nearer than this.
ALIKE = 1e-5

Json = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """How many rows are alike, which are not, and which only one of the two has; `largest_move` is of probabilities."""

    same: int
    changed: pa.Table  # key, and every compared column of both: here.…, there.…
    only_here: pa.Array  # keys
    only_there: pa.Array
    largest_move: float | None

    def as_json(self) -> Json:
        """The counts."""
        return {
            "same": self.same,
            "changed": self.changed.num_rows,
            "only_here": len(self.only_here),
            "only_there": len(self.only_there),
            "largest_move": self.largest_move,
        }

    def rows(self, first: int, count: int) -> list[Json]:
        """Some of the rows that are predicted otherwise, in the order of this scoring."""
        return list(map(_nested, self.changed.slice(first, count).to_pylist()))


def compare(here: Path, there: Path) -> Difference:
    """Compare two files of predictions (Parquet). Raises ValueError when they are not of one kind."""
    ours, theirs = _read(here), _read(there)
    names = _compared(ours, theirs)
    left, right = _match(ours.column(KEY), theirs.column(KEY))
    both = (left >= 0) & (right >= 0)
    pairs = left[both], right[both]
    changed = np.zeros(int(both.sum()), bool)
    for name in names:
        if not name.startswith(PROBABILITY):
            changed |= _differ(ours.column(name), theirs.column(name), *pairs)
    told = [name for name in names if name in ours.column_names]
    columns = {KEY: ours.column(KEY).take(pa.array(pairs[0][changed]))}
    for side, table, places in (("here", ours, pairs[0]), ("there", theirs, pairs[1])):
        columns |= {f"{side}.{name}": table.column(name).take(pa.array(places[changed])) for name in told}
    return Difference(
        same=int((~changed).sum()),
        changed=pa.table(columns),
        only_here=ours.column(KEY).take(pa.array(left[right < 0])),
        only_there=theirs.column(KEY).take(pa.array(right[left < 0])),
        largest_move=_largest_move(ours, theirs, names, pairs),
    )


def _read(path: Path) -> pa.Table:
    known = pq.read_schema(path).names
    chosen = [name for name in known if not name.startswith(NOT_PREDICTED)]
    return pq.read_table(path, columns=chosen).combine_chunks()


def _compared(ours: pa.Table, theirs: pa.Table) -> list[str]:
    """The columns that both have: the prediction and its probabilities, or where there is none everything."""
    common = [name for name in ours.column_names if name in theirs.column_names and name != KEY]
    if not common:
        raise ValueError("expected two scorings by models of one kind")
    if PREDICTION in common:
        return [name for name in common if name == PREDICTION or name.startswith(PROBABILITY)]
    return common


def _match(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Places of rows with one key in both, -1 where there is none; of a key that comes again the first with the first.

    The order is that of ours, then of what only theirs has.
    """
    texts = pa.chunked_array([*_texts(ours).chunks, *_texts(theirs).chunks], pa.string()).combine_chunks()
    codes = texts.dictionary_encode().indices.to_numpy().astype(np.int64)
    numbers = np.concatenate([_numbered(codes[: len(ours)]), _numbered(codes[len(ours) :])])
    named = codes * (int(numbers.max(initial=0)) + 1) + numbers
    left, right = named[: len(ours)], named[len(ours) :]
    order = np.argsort(right, kind="stable")
    found = np.searchsorted(right[order], left) if len(right) else np.zeros(len(left), np.int64)
    hit = np.zeros(len(left), bool)
    if len(right):
        inside = np.minimum(found, len(right) - 1)
        hit = right[order][inside] == left
        found = order[inside]
    matched = np.where(hit, found, -1)
    rest = np.setdiff1d(np.arange(len(right)), found[hit])
    return (
        np.concatenate([np.arange(len(left)), np.full(len(rest), -1)]),
        np.concatenate([matched, rest]).astype(np.int64),
    )


def _texts(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(keys.cast(pa.string()), "")


def _numbered(codes: np.ndarray) -> np.ndarray:
    """Of each code how often it came before."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(codes) else np.empty(0, bool)
    firsts = np.maximum.accumulate(np.where(starts, np.arange(len(codes)), 0))
    numbers = np.empty(len(codes), np.int64)
    numbers[order] = np.arange(len(codes)) - firsts
    return numbers


def _differ(ours: pa.ChunkedArray, theirs: pa.ChunkedArray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    one, other = ours.take(pa.array(left)), theirs.take(pa.array(right))
    if pa.types.is_floating(one.type) and pa.types.is_floating(other.type):
        a, b = (each.to_numpy().astype(np.float64) for each in (one, other))
        return ~(np.isclose(a, b, rtol=ALIKE, atol=ALIKE) | (np.isnan(a) & np.isnan(b)))
    if pa.types.is_nested(one.type) or one.type != other.type:
        pairs = zip(one.to_pylist(), other.to_pylist(), strict=True)
        return np.array([not _are_alike(a, b) for a, b in pairs], bool)
    unequal = pc.fill_null(pc.not_equal(one, other), False).to_numpy()
    return np.asarray(unequal | (pc.is_null(one).to_numpy() != pc.is_null(other).to_numpy()))


def _are_alike(one: Any, other: Any) -> bool:  # Any: cells
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_are_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=ALIKE, atol=ALIKE, equal_nan=True))
    return bool(one == other)


def _largest_move(
    ours: pa.Table, theirs: pa.Table, names: Sequence[str], pairs: tuple[np.ndarray, np.ndarray]
) -> float | None:
    """The most that a probability of a row has moved; None where there are none."""
    moves = list(_moves(ours, theirs, names, pairs))
    return round(max(moves), 6) if moves else None


def _moves(
    ours: pa.Table, theirs: pa.Table, names: Sequence[str], pairs: tuple[np.ndarray, np.ndarray]
) -> Iterator[float]:
    left, right = (pa.array(places) for places in pairs)
    for name in names:
        if name.startswith(PROBABILITY) and len(left):
            one, other = ours.column(name).take(left).to_numpy(), theirs.column(name).take(right).to_numpy()
            yield float(np.abs(one - other).max())


def _nested(row: Json) -> Json:
    """`here.prediction` as a member of an object `here`, and its probabilities as one of their own."""
    said: Json = {KEY: row[KEY], "here": {}, "there": {}}
    for name, value in row.items():
        side, _, rest = name.partition(".")
        if not rest:
            continue
        if rest.startswith(PROBABILITY):
            said[side].setdefault("probabilities", {})[rest.removeprefix(PROBABILITY)] = value
        else:
            said[side][rest] = value
    return said
