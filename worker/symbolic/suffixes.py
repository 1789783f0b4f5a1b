"""The longest passages that sequences of codes share with a stored set of sequences, found in a suffix array.

The array is built by doubling (Manber & Myers, "Suffix arrays: a new method for on-line string searches", 1993); how
far two suffixes agree is told by hashes of their windows (Karp & Rabin 1987) modulo 2^64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# An odd number has an inverse modulo 2^64, so a window's hash can be moved to where every window begins.
BASE = np.uint64(0x9E37_79B9_7F4A_7C15)
INVERSE = np.uint64(pow(int(BASE), -1, 2**64))


@dataclass(frozen=True)
class Hashed:
    """A sequence of codes, uint64 (codes,), and the sums from which the hash of any window follows."""

    codes: np.ndarray
    sums: np.ndarray
    back: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray) -> "Hashed":
        powers = np.full(len(codes) + 1, BASE)
        powers[0] = 1
        inverses = np.full(len(codes) + 1, INVERSE)
        inverses[0] = 1
        terms = codes * np.multiply.accumulate(powers)[:-1]
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
        return cls(codes, sums, np.multiply.accumulate(inverses))

    def windows(self, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The hash of each window, uint64."""
        return (self.sums[starts + lengths] - self.sums[starts]) * self.back[starts]


@dataclass(frozen=True)
class Suffixes:
    """The stored sequences one after another, each with an end of its own, and the order of all their suffixes."""

    text: Hashed
    order: np.ndarray
    starts: np.ndarray  # of each sequence

    @classmethod
    def of(cls, sequences: Sequence[np.ndarray]) -> "Suffixes":
        """Of sequences of even uint64 codes; memory is some 100 bytes a code."""
        starts = np.cumsum([0, *[len(each) + 1 for each in sequences]], dtype=np.int64)
        codes = np.zeros(int(starts[-1]), np.uint64)
        ends = np.zeros(len(codes), bool)
        ends[starts[1:] - 1] = True
        codes[~ends] = np.concatenate([np.zeros(0, np.uint64), *sequences])
        # Odd, and no two the same: nothing runs on from one sequence into the next.
        codes[ends] = np.arange(len(sequences), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        return cls(Hashed.of(codes), _order(codes), starts[:-1])

    def matches(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each place in `codes`, how many codes from there on are stored in a row, and where in `text`."""
        starts = np.arange(len(codes))
        if len(codes) == 0 or len(self.order) == 0:
            return np.zeros(len(codes), np.int64), starts
        query = Hashed.of(codes)
        place = self._places(query, starts)
        # What agrees longest with a suffix is next to where it would stand.
        beside = self.order[np.stack([np.maximum(place - 1, 0), np.minimum(place, len(self.order) - 1)])]
        lengths = np.stack([self._agreement(query, starts, each) for each in beside])
        side = lengths.argmax(axis=0)
        return lengths[side, starts], beside[side, starts]

    def where(self, found: int) -> tuple[int, int]:
        """The sequence of a place in `text`, and where in that sequence it is."""
        sequence = int(np.searchsorted(self.starts, found, side="right")) - 1
        return sequence, found - int(self.starts[sequence])

    def _places(self, query: Hashed, starts: np.ndarray) -> np.ndarray:
        """How many stored suffixes come before each of the query's, by halving."""
        low, high = np.zeros(len(starts), np.int64), np.full(len(starts), len(self.order))
        while (low < high).any():
            middle = np.minimum((low + high) // 2, len(self.order) - 1)
            is_after = self._comes_after(query, starts, self.order[middle]) & (low < high)
            low, high = np.where(is_after, middle + 1, low), np.where(is_after | (low >= high), high, middle)
        return low

    def _comes_after(self, query: Hashed, starts: np.ndarray, stored: np.ndarray) -> np.ndarray:
        agreed = self._agreement(query, starts, stored)
        is_over = starts + agreed == len(query.codes)
        ours = query.codes[np.minimum(starts + agreed, len(query.codes) - 1)]
        theirs = self.text.codes[np.minimum(stored + agreed, len(self.text.codes) - 1)]
        return ~is_over & (ours > theirs)

    def _agreement(self, query: Hashed, starts: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """How many codes are the same from each start on."""
        most = np.minimum(len(query.codes) - starts, len(self.text.codes) - stored)
        agreed = np.zeros(len(starts), np.int64)
        step = 1 << int(most.max()).bit_length()
        while step := step // 2:
            longer = np.minimum(agreed + step, most)
            same = query.windows(starts, longer) == self.text.windows(stored, longer)
            agreed = np.where(same, longer, agreed)
        return agreed


def _order(codes: np.ndarray) -> np.ndarray:
    """The starts of all suffixes in the order of their codes."""
    ranks = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    order, width = np.argsort(ranks, kind="stable"), 1
    while len(codes) and int(ranks.max()) + 1 < len(codes):
        beyond = np.zeros(len(codes), np.int64)
        beyond[:-width] = ranks[width:] + 1
        keys = ranks * (len(codes) + 1) + beyond
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        ranks[order] = np.concatenate([[0], np.cumsum(ordered[1:] != ordered[:-1])])
        width *= 2
    return order
