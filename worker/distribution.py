"""How a training's rows, and the answers to those held out, are distributed: what drift is later told against."""

import numpy as np

from worker import drift, evaluation
from worker.drift import Counts
from worker.kinds.protocol import Prepared
from worker.predictions import Scorer


def at_training(scorer: Scorer, prepared: Prepared, outputs: np.ndarray) -> Counts:
    """Of a network with these outputs for the rows that were held out.

    Of its own training's rows it is too sure: without any held out, what comes out is not watched.
    """
    x = _inputs(prepared)
    chosen = np.sort(np.random.default_rng(0).permutation(len(x))[: drift.SAMPLE_ROWS])
    given = drift.of_matrix(scorer.features, x[chosen]) if scorer.features else {}
    return Counts(
        rows=min(len(np.unique(prepared.train_rows)), drift.SAMPLE_ROWS),
        inputs=drift.learn(given, scorer.features),
        outputs=drift.learn(scorer.answer(outputs).said) if prepared.validation else (),
    )


def _inputs(prepared: Prepared) -> np.ndarray:
    """A row a row, also where a recording is many examples."""
    x = prepared.train.x
    return evaluation.pool(x, prepared.train_rows) if prepared.is_pooled and prepared.features else x
