"""Scores as sums over what was played: a matrix that says how much each item speaks for each other one.

Neighbours of items and linear autoencoders are both this once they are learned.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from worker.recommenders.histories import Histories, Weighting, weigh

Json = dict[str, Any]
Matrix = Any  # a dense array or a csr_matrix of SciPy, which ships no types


@dataclass(frozen=True)
class Linear:
    """A matrix (known, known), float32, of the items at `places`; from row to column."""

    method: str
    count: int
    weighting: Weighting
    places: np.ndarray  # int32 (known,)
    matrix: Matrix
    # What nobody has played is as near to a listener as what is like it: sparse (cold, known) of shares, and places.
    cold: Any = None  # a csr_matrix
    cold_places: np.ndarray | None = None
    # Added to every score, float32 (known,): the order of what nothing speaks for.
    prior: np.ndarray | None = None
    has_reasons = True

    @property
    def known(self) -> np.ndarray:
        return self._position >= 0

    @property
    def offered(self) -> np.ndarray:
        offered = self.known.copy()
        if self.cold_places is not None:
            offered[self.cold_places] = True
        return offered

    @cached_property
    def _position(self) -> np.ndarray:
        """Where an item stands among the known, int32 (items,), -1 where it is unknown."""
        position = np.full(self.count, -1, np.int32)
        position[self.places] = np.arange(len(self.places))
        return position

    def read(self, given: Histories) -> sparse.csr_matrix:
        weighted = given.weighted(self.weighting)
        known = weighted.only(self._position[weighted.items] >= 0)
        shape = (len(known), len(self.places))
        return sparse.csr_matrix((known.weights, self._position[known.items], known.indptr), shape=shape)

    def scores(self, users: sparse.csr_matrix) -> np.ndarray:
        known = np.asarray((users @ self.matrix).todense() if sparse.issparse(self.matrix) else users @ self.matrix)
        if self.prior is not None:
            known = known + self.prior
        found = np.full((users.shape[0], self.count), -np.inf, np.float32)
        found[:, self.places] = known
        if self.cold is not None and self.cold_places is not None:
            found[:, self.cold_places] = _times(self.cold, known)
        return found

    def slack(self, users: sparse.csr_matrix) -> np.ndarray:
        return np.zeros(users.shape[0], np.float32)

    def refine(self, users: sparse.csr_matrix, scores: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        # A row of a sparse matrix is added up in its own order: the scores are the same already.
        return np.take_along_axis(scores, chosen, axis=1)

    def contributions(self, items: np.ndarray, weights: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        position = self._position[items]
        is_known = position >= 0
        found = np.zeros((len(items), len(wanted)))
        says = self._columns(position[is_known], wanted)
        found[is_known] = says * weigh(weights, self.weighting)[is_known, None]
        return found

    def _columns(self, rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """What rows of the matrix say of wanted items, float64 (rows, wanted)."""
        position, found = self._position[wanted], np.zeros((len(rows), len(wanted)))
        is_known = position >= 0
        found[:, is_known] = self._cells(rows, position[is_known])
        if self.cold is not None and self.cold_places is not None:
            for place in np.flatnonzero(~is_known):
                shares = self.cold[np.searchsorted(self.cold_places, wanted[place])]
                found[:, place] = self._cells(rows, shares.indices) @ shares.data
        return found

    def _cells(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Of the matrix; never whole rows, which of a long history are as many as the catalogue has items."""
        if not sparse.issparse(self.matrix):
            return np.asarray(self.matrix[np.ix_(rows, columns)], np.float64)
        return np.asarray(self._by_column[:, columns][rows].todense(), np.float64)

    @cached_property
    def _by_column(self) -> Any:
        return self.matrix.tocsc()

    def similar(self, item: int) -> np.ndarray | None:
        position = self._position[item]
        found = np.full(self.count, -np.inf, np.float32)
        if position >= 0:
            row = self.matrix[[position]]
        elif self.cold_places is not None and (place := np.flatnonzero(self.cold_places == item)).size:
            row = self.cold[place]
        else:
            return None
        found[self.places] = np.asarray(row.todense() if sparse.issparse(row) else row)[0]
        found[item] = -np.inf
        return found

    def describe(self) -> tuple[Json, dict[str, np.ndarray]]:
        said = {"method": self.method, "form": "linear", "weighting": self.weighting, "count": self.count}
        arrays = {"places": self.places, **_pack("matrix", self.matrix)}
        if self.prior is not None:
            arrays["prior"] = self.prior
        if self.cold is not None and self.cold_places is not None:
            arrays |= {"cold_places": self.cold_places, **_pack("cold", self.cold)}
        return said, arrays


def restore(spec: Json, arrays: dict[str, np.ndarray]) -> Linear:
    """As it was described. Raises KeyError or ValueError."""
    known = len(arrays["places"])
    cold = _unpack("cold", arrays, columns=known) if "cold_places" in arrays else None
    matrix = _unpack("matrix", arrays, columns=known)
    if matrix.shape != (known, known):
        raise ValueError("expected a row and a column for each known item")
    return Linear(
        spec["method"], spec["count"], spec["weighting"], arrays["places"], matrix, cold, arrays.get("cold_places"),
        arrays.get("prior"),
    )  # fmt: skip


def _times(shares: sparse.csr_matrix, known: np.ndarray) -> np.ndarray:
    """Scores (users, cold) out of those of the known; each added up in the order of its row."""
    # Of one column SciPy takes another way, which rounds otherwise.
    wide = np.repeat(known, 2, axis=0) if len(known) == 1 else known
    found: np.ndarray = (shares @ wide.T).T
    return found[: len(known)]


def _pack(name: str, matrix: Matrix) -> dict[str, np.ndarray]:
    if not sparse.issparse(matrix):
        return {name: matrix}
    return {
        f"{name}.values": matrix.data.astype(np.float32),
        f"{name}.columns": matrix.indices.astype(np.int32),
        f"{name}.ends": matrix.indptr.astype(np.int64),
    }


def _unpack(name: str, arrays: dict[str, np.ndarray], *, columns: int) -> Any:  # Any: a Matrix
    if name in arrays:
        return arrays[name]
    values, places, ends = (arrays[f"{name}.{part}"] for part in ("values", "columns", "ends"))
    return sparse.csr_matrix((values, places, ends), shape=(len(ends) - 1, columns))
