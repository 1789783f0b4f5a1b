"""Real plays for benchmarks: ETUDE_BENCH_PLAYS names a CSV or CSV.xz whose first columns are user, item and plays.

They are those of Last.fm-2k (HetRec 2011), whose terms keep them from being handed out or sold.
"""

import csv
import lzma
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.measurement import MeasurementBroken
from worker.interactions.stored import Interactions, empty_catalogue
from worker.kinds.recommendation.metrics import LONGEST
from worker.recommenders import accuracy
from worker.recommenders.splits import Task

VARIABLE = "ETUDE_BENCH_PLAYS"
# As rows call them, and as a training does.
METRICS = {"R@20": "recall@20", "NDCG@100": "ndcg@100"}


def read() -> Interactions:
    """All plays, as an ingest makes of them. Raises MeasurementBroken where they are not named."""
    named = os.environ.get(VARIABLE)
    if not named or not Path(named).is_file():
        raise MeasurementBroken(f"expected {VARIABLE} to name plays (see bench/plays.py), received {named!r}")
    rows = list(_rows(Path(named)))
    users, user = np.unique([row[0] for row in rows], return_inverse=True)
    items, item = np.unique([row[1] for row in rows], return_inverse=True)
    weight = np.array([float(row[2]) for row in rows])
    return Interactions(
        users.tolist(), items.tolist(), user.astype(np.int32), item.astype(np.int32), weight, None, None,
        empty_catalogue(len(items)),
    )  # fmt: skip


def _rows(path: Path) -> Iterator[list[str]]:
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as file:
        rows = csv.reader(file)
        next(rows)
        yield from rows


def judge(scores: np.ndarray, task: Task) -> dict[str, float]:
    """What the lists come to that these scores (judged users, items) put first, by the metrics of a training.

    Of a peer, so by a plain sort; what was played is left out, and so is what has the score -inf. `scores` are changed.
    """
    scores[task.given.users, task.given.items] = -np.inf
    lists = np.argsort(-scores, axis=1, kind="stable")[:, :LONGEST]
    lists = np.where(np.isfinite(np.take_along_axis(scores, lists, axis=1)), lists, -1)
    found = accuracy.per_user(lists, task.hidden, (20, LONGEST))
    return {name: float(np.nanmean(found[metric])) for name, metric in METRICS.items()}
