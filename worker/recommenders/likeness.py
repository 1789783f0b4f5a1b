"""How alike two items are, whatever model ranks them: by what they are, else by who plays them."""

import numpy as np
from scipy import sparse

from worker.recommenders import reduction
from worker.recommenders.histories import Histories

SIZE = 64
# Where fewer items than this have content, who plays them says more.
CONTENT_SHARE = 0.5


def vectors(plays: Histories, features: sparse.csr_matrix | None) -> np.ndarray:
    """Float32 (items, at most 64), of length 1, or 0 where nothing is known."""
    played = plays.listeners > 0
    if features is not None and np.mean(np.diff(features.indptr) > 0) >= CONTENT_SHARE:
        return reduction.directions(features, SIZE)
    weights = sparse.diags(np.divide(1, np.sqrt(plays.listeners), out=np.zeros(plays.count), where=played))
    played_by = sparse.csr_matrix((plays.weighted("binary").matrix() @ weights).T, dtype=np.float32)
    return reduction.directions(played_by, SIZE)
