"""How long alternating least squares take on real plays, beside `implicit` with the same settings on the same pairs.

`implicit` has a process of its own, and both have two threads. A time counts only where the lists are as good.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from bench import plays
from bench.asking import Asked
from bench.measurement import Measurement, MeasurementBroken, compare
from shared.kinds.recommendation import TrainParams
from worker.kinds.recommendation import metrics, model
from worker.recommenders import als, splits
from worker.recommenders.factors import Factors
from worker.recommenders.histories import Histories
from worker.recommenders.splits import Task

NEEDS = "ETUDE_BENCH_PLAYS"
THREADS, TIMES = 2, 3
# So far apart may the quality of both be, as a share.
AS_GOOD = 0.01
METRIC = "NDCG@100"

Json = dict[str, Any]


def measure(rounds: int) -> list[Measurement]:
    # The peer has as many, however many the machine has.
    als.THREADS_AT_MOST = THREADS
    params = TrainParams(split="random")
    task = splits.divide(plays.read(), "random", seed=0).test
    settings = {**model.space(params, "als", items=task.train.count).begin, "iterations": params.als.iterations}
    pairs = []
    with tempfile.TemporaryDirectory(prefix="etude-bench-") as folder, _peer(Path(folder), task, settings) as theirs:
        factors = Path(folder) / "factors.npz"
        theirs.ask(str(factors))
        ours, _ = fit(task.train, settings)
        with np.load(factors) as found:
            qualities = quality(ours, task), peer_quality(found["users"], found["items"], task)
        hold(*qualities)
        for _ in range(rounds):
            # The best of a few: what disturbs one only makes it longer.
            both = [(fit(task.train, settings)[1], theirs.ask()) for _ in range(TIMES)]
            pairs.append((min(our for our, _ in both), min(their for _, their in both)))
    note = f"{len(task.train.items):,} pairs, {settings['factors']} factors, {settings['iterations']} iterations, the "
    note += f"same weights; {METRIC} {qualities[0]:.4f} and {qualities[1]:.4f}; the best of {TIMES} each round"
    name = "training of alternating least squares, against implicit's"
    return [compare(name, pairs, unit="s", bar="≤ 1.5", note=note)]


def fit(given: Histories, settings: Json) -> tuple[Factors, float]:
    """Our model and how long it took."""
    began = time.perf_counter()
    learned = als.fit(given, **settings, seed=0)
    return learned, time.perf_counter() - began


def quality(learned: Factors, task: Task) -> float:
    return metrics.judge(learned, task).mean(plays.METRICS[METRIC])


def peer_quality(users: np.ndarray, items: np.ndarray, task: Task) -> float:
    """What its own factors come to; what nobody has played is not recommended."""
    scores = users[task.users] @ items.T
    scores[:, task.train.listeners == 0] = -np.inf
    return plays.judge(scores, task)[METRIC]


def hold(ours: float, theirs: float) -> None:
    """Raises MeasurementBroken where one does less, and perhaps therefore in less time."""
    if abs(ours / theirs - 1) > AS_GOOD:
        said = f"expected lists as good as implicit's within {AS_GOOD:.0%}"
        raise MeasurementBroken(f"{said}, received {METRIC} {ours:.4f} and {theirs:.4f}")


def _peer(folder: Path, task: Task, settings: Json) -> Asked:
    sparse.save_npz(folder / "pairs.npz", confidence(task.train, settings))
    told = {name: settings[name] for name in ("factors", "regularization", "iterations")}
    (folder / "settings.json").write_text(json.dumps({**told, "num_threads": THREADS, "random_state": 0}))
    named = [str(folder / name) for name in ("pairs.npz", "settings.json")]
    return Asked("bench.peers.implicit_als", *named, OPENBLAS_NUM_THREADS="1")


def confidence(given: Histories, settings: Json) -> sparse.csr_matrix:
    """1 + alpha · weight of each pair, as the peer takes it."""
    matrix = given.weighted(settings["weighting"]).matrix() * np.float32(settings["alpha"])
    matrix.data += 1
    return matrix
