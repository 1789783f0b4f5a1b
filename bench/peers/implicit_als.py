"""Alternating least squares of `implicit`, on two threads; prints the seconds of a fit.

`python -m bench.peers.implicit_als pairs.npz settings.json`, a line for every fit: where its factors go, if anywhere.
With OPENBLAS_NUM_THREADS=1, as it asks for itself.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy import sparse


def fit(confidence: sparse.csr_matrix, settings: dict[str, Any]) -> tuple[AlternatingLeastSquares, float]:
    """The model and how long it took, from a matrix of what each pair counts."""
    model = AlternatingLeastSquares(**settings, alpha=1.0, dtype=np.float32)
    began = time.perf_counter()
    model.fit(confidence, show_progress=False)
    return model, time.perf_counter() - began


def main() -> None:
    confidence, settings = sparse.load_npz(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    for line in sys.stdin:
        model, took = fit(confidence, settings)
        if line.strip():
            np.savez(line.strip(), users=model.user_factors, items=model.item_factors)
        print(took, flush=True)


if __name__ == "__main__":
    main()
