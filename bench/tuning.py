"""What tuning is worth on real songs, in nested folds: the tuned network, the untuned, and gradient boosted trees.

A fifth of the songs is laid aside, another one each round. The rest goes to the service, which divides it once more
to search by; the songs laid aside judge its winner, the trees, and the network of the same service without a search,
once with a fifth of its songs for validation and once in as many folds as the winner had.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench import songs
from bench.measurement import Measurement, compare
from bench.peers import boosting
from bench.service import Service, running
from shared import tuning

NEEDS = "ETUDE_BENCH_SONGS"
FOLDS, TRIALS = 5, 30
# The kind, what it learns, the metric that the search goes by and that counts, and another that people know.
TASKS = (("classification", "label", "log_loss", "accuracy"), ("regression", "rms_mean", "rmse", "r2"))
GROUP = "song"
OTHERS = (("untuned", "the untuned"), ("in_folds", "the untuned in folds"), ("boosted", "gradient boosting"))

Json = dict[str, Any]
Columns = dict[str, list[Any]]


def measure(rounds: int) -> list[Measurement]:
    columns = songs.read()
    fold_of = _folds(columns[GROUP])
    rows = []
    with running(ETUDE_CHILD_JOBS="10000") as service:
        for kind, target, metric, known in TASKS:
            found = [
                _judge(service, columns, fold_of == number % FOLDS, kind, target, metric) for number in range(rounds)
            ]
            rows += _compare(found, target, metric, known)
    return rows


def _compare(found: Sequence[dict[str, Json]], target: str, metric: str, known: str) -> list[Measurement]:
    """The tuned network beside each of the others."""
    middle = {name: float(np.median([each[name][known] for each in found])) for name in found[0]}
    note = f"{TRIALS} trials, songs apart; median {known}: " + ", ".join(f"{n} {v:.3f}" for n, v in middle.items())
    return [
        compare(
            f"{metric} of {target} by a tuned network, beside {said}",
            [(each["tuned"][metric], each[other][metric]) for each in found],
            unit="",
            bar="≤ 1",
            note=note,
        )
        for other, said in OTHERS
    ]


def _folds(groups: Sequence[str]) -> np.ndarray:
    """Which fold each row is in: all rows of a group in one."""
    names, of_row = np.unique(groups, return_inverse=True)
    return (np.random.default_rng(0).permutation(len(names)) % FOLDS)[of_row]


def _judge(
    service: Service, columns: Columns, is_aside: np.ndarray, kind: str, target: str, metric: str
) -> dict[str, Json]:
    """What each comes to on the songs laid aside, by every metric of the kind."""
    roles = {"target": target, "group": GROUP, "drop": _no_features(target)}
    taught = service.upload("songs", _table(columns, ~is_aside), **roles)
    aside = service.upload("aside", _table(columns, is_aside), **roles)
    search = {
        "trials": TRIALS,
        "metric": metric,
        "min_gain_per_hour": None,
        "train": {"test": None, "baselines": False},
    }
    wanted = {"kind": kind, "dataset": taught}
    in_folds = {"folds": tuning.FOLDS}
    jobs = (
        ("tuned", {**wanted, "action": "tune", "params": search}),
        ("untuned", {**wanted, "action": "train", "params": {"baselines": False}}),
        # As the winner has learned: in folds, and then from all rows.
        ("in_folds", {**wanted, "action": "train", "params": {"baselines": False, "validation": in_folds}}),
    )
    told = {}
    for name, body in jobs:
        model = f"{name}-{target}"
        service.finish(service.submit({**body, "model": model}))
        judged = service.finish(service.submit({"action": "evaluate", "model": f"{model}@latest", "dataset": aside}))
        told[name] = {
            each: said["value"]
            for each, said in judged["result"]["metrics"]["evaluation"].items()
            if isinstance(said, dict) and "value" in said
        }
    names = [name for name in columns if name not in (target, GROUP, *_no_features(target))]
    x, y = np.array([columns[name] for name in names]).T, np.array(columns[target])
    told["boosted"] = boosting.judge(kind, x[~is_aside], y[~is_aside], x[is_aside], y[is_aside], seed=0)
    return told


def _no_features(target: str) -> list[str]:
    """Of a loudness neither its own spread, which gives it away, nor the genre, which trees would need in numbers."""
    return [] if target == "label" else ["rms_var", "label"]


def _table(columns: Columns, chosen: np.ndarray) -> bytes:
    content = io.StringIO()
    writer = csv.writer(content)
    writer.writerow(columns)
    writer.writerows(row for row, is_in in zip(zip(*columns.values(), strict=True), chosen, strict=True) if is_in)
    return content.getvalue().encode()
