"""Which training examples are one unit, whose whole influence is bounded: a row, a recording, or a group of them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Units:
    """Places of examples, unit by unit: those of unit u are places[starts[u] : starts[u] + lengths[u]]."""

    places: np.ndarray  # int32 (examples,)
    starts: np.ndarray  # int32 (units,)
    lengths: np.ndarray  # int32 (units,)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def longest(self) -> int:
        """The most examples of any unit."""
        return int(self.lengths.max(initial=0))


def gather(codes: np.ndarray, *, at_most: int) -> Units:
    """Units by equal codes (examples,), each with `at_most` examples, evenly chosen among its own.

    What is kept of a unit depends on that unit alone, so that one more or less changes nothing for the others.
    """
    _, first, counts = np.unique(codes, return_index=True, return_counts=True)
    order = np.argsort(codes, kind="stable").astype(np.int32)
    begins = np.cumsum(counts) - counts
    # As they stand in the table, whatever they are called.
    ranked = np.argsort(first, kind="stable")
    kept = [order[begins[unit] + _evenly(int(counts[unit]), at_most)] for unit in ranked.tolist()]
    lengths = np.array([len(each) for each in kept], np.int32)
    starts = (np.cumsum(lengths) - lengths).astype(np.int32)
    return Units(np.concatenate(kept) if kept else np.empty(0, np.int32), starts, lengths)


def _evenly(count: int, at_most: int) -> np.ndarray:
    if count <= at_most:
        return np.arange(count)
    return np.arange(at_most, dtype=np.int64) * count // at_most
