"""64-bit hashes of cells, and the number of distinct ones among any number of them in bounded memory."""

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

HASHES_A_BLOCK = 1024 * 1024
# Sorted at a time: 32 MiB and as much again for the sorted copy.
HASHES_A_PART = 4 * 1024 * 1024

MISSING = np.uint64(1)


def of_numbers(column: pa.Array) -> np.ndarray:
    """One hash a cell, equal for equal numbers; missing cells have one of their own."""
    # -0.0 equals 0.0 and has other bits.
    values = pc.fill_null(column, 0).to_numpy(zero_copy_only=False) + column.type.to_pandas_dtype()(0)
    hashes = mix(values.view(np.uint64))
    return np.where(pc.is_null(column).to_numpy(zero_copy_only=False), MISSING, hashes) if column.null_count else hashes


def of_words(words: list[str]) -> np.ndarray:
    """One hash a word, the same in every process."""
    digests = b"".join(hashlib.blake2b(word.encode(), digest_size=8).digest() for word in words)
    return np.frombuffer(digests, np.uint64)


def mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): spreads every bit over all others."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class HashList:
    """A growing list of hashes in a file, eight bytes each."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.count = file, 0

    def add(self, hashes: np.ndarray) -> None:
        self._file.write(hashes.tobytes())
        self.count += len(hashes)

    def blocks(self) -> Iterator[np.ndarray]:
        self._file.seek(0)
        while block := self._file.read(8 * HASHES_A_BLOCK):
            yield np.frombuffer(block, np.uint64)


def count_distinct(blocks: Callable[[], Iterator[np.ndarray]], count: int) -> int:
    """How many of `count` hashes differ; the blocks are read once for every four million of them."""
    parts = 1 + count // HASHES_A_PART
    return sum(_count_part(blocks(), part, parts) for part in range(parts))


def _count_part(blocks: Iterator[np.ndarray], part: int, parts: int) -> int:
    chosen = [block[block % np.uint64(parts) == part] for block in blocks]
    if not chosen:
        return 0
    # Ten times faster than numpy.unique, which hashes what is hashed already.
    ordered = np.sort(np.concatenate(chosen))
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + min(len(ordered), 1)


class Estimate:
    """An estimate of the number of distinct hashes (Flajolet et al. 2007, HyperLogLog), 4 KiB whatever their number."""

    BITS = 12  # 2^12 registers: a standard error of 1.6 %

    def __init__(self) -> None:
        self._registers = np.zeros(2**self.BITS, np.uint8)

    def add(self, hashes: np.ndarray) -> None:
        places = (hashes >> np.uint64(64 - self.BITS)).astype(np.int64)
        rest = (hashes << np.uint64(self.BITS)) | np.uint64(2 ** (self.BITS - 1))
        # The exponent of a float64 is where its highest bit stands.
        ranks = 64 - np.frexp(rest.astype(np.float64))[1] + 1
        np.maximum.at(self._registers, places, ranks.astype(np.uint8))

    def value(self) -> int:
        size = 2**self.BITS
        bias = 0.7213 / (1 + 1.079 / size)
        raw = bias * size**2 / float(np.sum(2.0 ** -self._registers.astype(float)))
        empty = int(np.sum(self._registers == 0))
        # Few values leave registers empty, and their number tells more than the ranks.
        return round(size * math.log(size / empty) if empty and raw <= 2.5 * size else raw)
