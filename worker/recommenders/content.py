"""What items are like, apart from who plays them: labels and recordings, so that new ones have a place."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from worker.recommenders.catalogue import Catalogue

# A column of which nearly every item has a label of its own, a title perhaps, says nothing of others.
DISTINCT_SHARE = 0.5
# These say how much an item was played: what is to be foretold.
PLAYS = ("popularity", "plays", "playcount", "play_count", "listeners", "streams", "rank", "count")
NEIGHBOURS = 20
ROWS_AT_ONCE = 512
# A mean of what is like an item has less spread than what was learned of it; and nearness below that is chance.
LEAST = 0.05


def describe(catalogue: Catalogue, heard: np.ndarray | None = None) -> sparse.csr_matrix | None:
    """Rows of length 1 or 0, sparse float32 (items, features); None where nothing tells.

    Labels count by how rare they are; `heard` are embeddings of recordings (items, size), zeros where there is none.
    """
    blocks = [block for name in catalogue.names if (block := _block(catalogue, name)) is not None]
    if heard is not None and heard.any():
        is_heard = np.any(heard, axis=1)
        centred = np.where(is_heard[:, None], heard - heard[is_heard].mean(axis=0), 0)
        blocks.append(unit(sparse.csr_matrix(centred.astype(np.float32))))
    if not blocks:
        return None
    return unit(sparse.hstack(blocks, format="csr", dtype=np.float32))


def _block(catalogue: Catalogue, name: str) -> sparse.csr_matrix | None:
    """A column's labels, each by its inverse document frequency; None of a column that says nothing of others."""
    if name.lower() in PLAYS or catalogue.is_number(name):
        return None
    labels = catalogue.labels(name)
    counts = np.asarray(labels.matrix.sum(axis=0)).ravel()
    filled = np.count_nonzero(np.diff(labels.matrix.indptr))
    if filled == 0 or np.count_nonzero(counts) <= 1 or len(labels.words) > DISTINCT_SHARE * max(2, counts.sum()):
        return None
    rarity = np.log((1 + filled) / (1 + counts)) + 1
    return unit(sparse.csr_matrix(labels.matrix @ sparse.diags(rarity.astype(np.float32))))


def unit(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows of length 1; those of zeros stay."""
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sparse.csr_matrix(sparse.diags(scale) @ rows, dtype=np.float32)


def shares(features: sparse.csr_matrix, cold: np.ndarray, warm: np.ndarray) -> sparse.csr_matrix:
    """How much of each warm item is in each cold one: its nearest, by nearness; sparse (cold, warm), rows sum to 1.

    Rows of cold items that are like none are empty.
    """
    known = features[warm].T.tocsc()
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(0, len(cold), ROWS_AT_ONCE):
        near = np.asarray((features[cold[start : start + ROWS_AT_ONCE]] @ known).todense())
        parts += [_nearest(row) for row in near]
    return _stack(parts, len(warm))


def _nearest(near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and shares of the nearest of one item."""
    chosen = np.argsort(-near, kind="stable")[:NEIGHBOURS]
    chosen = np.sort(chosen[near[chosen] > LEAST])
    # Squared, so that what is nearest counts.
    weights = near[chosen].astype(np.float64) ** 2
    return chosen, weights / weights.sum() if len(chosen) else weights


def _stack(parts: Sequence[tuple[np.ndarray, np.ndarray]], width: int) -> sparse.csr_matrix:
    ends = np.concatenate([[0], np.cumsum([len(places) for places, _ in parts])]).astype(np.int64)
    places = np.concatenate([np.empty(0, np.int64), *(places for places, _ in parts)]).astype(np.int32)
    values = np.concatenate([np.empty(0), *(values for _, values in parts)]).astype(np.float32)
    return sparse.csr_matrix((values, places, ends), shape=(len(parts), width))
