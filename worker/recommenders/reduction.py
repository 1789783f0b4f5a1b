"""Sparse rows as short dense ones that keep their angles as well as so few numbers can."""

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd


def directions(rows: sparse.csr_matrix, size: int) -> np.ndarray:
    """Rows in the space of the largest singular values, float32 (rows, at most `size`), of length 1 or 0.

    Halko, Martinsson and Tropp, SIAM Review 2011.
    """
    size = min(size, *(side - 1 for side in rows.shape))
    if size < 1:
        found = np.asarray(rows.todense(), np.float32)
    else:
        left, values, _ = randomized_svd(rows, size, random_state=0)
        found = (left * values).astype(np.float32)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    # What is nearly orthogonal to all that is kept is like nothing: of a direction by chance nothing would be learned.
    unit: np.ndarray = np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 1e-6)
    return unit
