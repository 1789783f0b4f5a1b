"""How alike two items are, whatever model ranks them: by what they are, else by who plays them."""

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from worker.recommenders.histories import Histories

SIZE = 64
# Where fewer items than this have content, who plays them says more.
CONTENT_SHARE = 0.5


def vectors(plays: Histories, features: sparse.csr_matrix | None) -> np.ndarray:
    """Float32 (items, at most 64), of length 1, or 0 where nothing is known."""
    played = plays.listeners > 0
    if features is not None and np.mean(np.diff(features.indptr) > 0) >= CONTENT_SHARE:
        return _reduced(features)
    weights = sparse.diags(np.divide(1, np.sqrt(plays.listeners), out=np.zeros(plays.count), where=played))
    return _reduced(sparse.csr_matrix((plays.weighted("binary").matrix() @ weights).T, dtype=np.float32))


def _reduced(rows: sparse.csr_matrix) -> np.ndarray:
    """Rows in the space of the largest singular values; Halko, Martinsson and Tropp, SIAM Review 2011."""
    size = min(SIZE, *(side - 1 for side in rows.shape))
    if size < 1:
        found = np.asarray(rows.todense(), np.float32)
    else:
        left, values, _ = randomized_svd(rows, size, random_state=0)
        found = (left * values).astype(np.float32)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    unit: np.ndarray = np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 1e-6)
    return unit
