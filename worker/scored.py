"""Which rows a model version has scored before: known by what they hold, wherever they stand now."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

# The file of a scoring that remembers, 16 bytes a row that it scored.
FILE = "scored.bin"
DIGEST_BYTES = 16
# Of the params, what changes neither the rows nor what is said of them.
NO_MATTER = ("formats", "columns", "skip_scored", "resume_of", "explain", "drift_threshold")


class Scored:
    """A set of digests."""

    def __init__(self, contents: Iterable[bytes] = ()) -> None:
        pairs = np.frombuffer(b"".join(contents), "<u8").reshape(-1, 2)
        self._pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]

    def __len__(self) -> int:
        return len(self._pairs)

    def has(self, digests: np.ndarray) -> np.ndarray:
        """Which of these are in the set; (rows, 2) to (rows,) of bool."""
        firsts = self._pairs[:, 0]
        place = np.searchsorted(firsts, digests[:, 0])
        found = np.zeros(len(digests), bool)
        # Digests that share a half are as good as none; yet they cost only another round.
        open_ = place < len(firsts)
        while open_.any():
            rows = np.flatnonzero(open_)
            there = self._pairs[place[rows]]
            is_near = there[:, 0] == digests[rows, 0]
            found[rows] |= is_near & (there[:, 1] == digests[rows, 1])
            place[rows] += 1
            open_[rows] = is_near & ~found[rows] & (place[rows] < len(firsts))
        return found


def digests_of_rows(keys: pa.Array, x: np.ndarray) -> np.ndarray:
    """Of each row's key and of what the network is given of it, float32 (rows, columns); uint64 (rows, 2)."""
    texts = keys.cast(pa.string()).to_pylist()
    wide = np.ascontiguousarray(x, np.float32)
    return _digests((text or "", wide[row].tobytes()) for row, text in enumerate(texts))


def digests_of_tracks(keys: Sequence[str], contents: Sequence[str]) -> np.ndarray:
    """Of each track's key and of the SHA-256 of what is heard; uint64 (tracks, 2)."""
    return _digests((key, content.encode()) for key, content in zip(keys, contents, strict=True))


def _digests(rows: Iterable[tuple[str, bytes]]) -> np.ndarray:
    joined = b"".join(
        hashlib.blake2b(content, digest_size=DIGEST_BYTES, key=hashlib.sha256(key.encode()).digest()).digest()
        for key, content in rows
    )
    return np.frombuffer(joined, "<u8").reshape(-1, 2)
