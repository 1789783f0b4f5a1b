"""Plays are read as they stand, and a peer's scores are judged as ours are."""

import lzma
from pathlib import Path

import numpy as np
import pytest

from bench import plays
from bench.measurement import MeasurementBroken
from tests.worker import plays as made_plays
from worker.kinds.recommendation import metrics
from worker.recommenders import als, splits

CSV = "user,artist,plays\n9,b,3\n9,a,1\n10,b,2\n"


@pytest.mark.parametrize("name", ["plays.csv", "plays.csv.xz"])
def test_a_file_is_read_packed_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(lzma.compress(CSV.encode()) if path.suffix == ".xz" else CSV.encode())
    monkeypatch.setenv(plays.VARIABLE, str(path))

    found = plays.read()

    assert (found.users, found.items) == (["10", "9"], ["a", "b"])
    assert list(zip(found.user, found.item, found.weight, strict=True)) == [(1, 1, 3), (1, 0, 1), (0, 1, 2)]


@pytest.mark.parametrize("named", [None, "/nowhere"])
def test_without_a_file_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch, named: str | None) -> None:
    monkeypatch.delenv(plays.VARIABLE, raising=False)
    if named is not None:
        monkeypatch.setenv(plays.VARIABLE, named)

    with pytest.raises(MeasurementBroken, match="expected ETUDE_BENCH_PLAYS to name plays"):
        plays.read()


def test_a_peer_is_judged_as_we_are() -> None:
    task = splits.divide(made_plays.interactions(made_plays.make(80, 150, seed=1)), "random", seed=0).test
    model = als.fit(
        task.train, factors=8, alpha=20.0, regularization=20.0, iterations=4, weighting="binary", seed=0
    )  # fmt: skip

    ours, theirs = metrics.judge(model, task), plays.judge(model.scores(model.read(task.given)), task)

    assert theirs == pytest.approx({name: ours.mean(metric) for name, metric in plays.METRICS.items()}, abs=1e-3)
    assert theirs["R@20"] > 0


def test_what_has_no_score_takes_no_place() -> None:
    task = splits.divide(made_plays.interactions(made_plays.make(80, 150, seed=1)), "random", seed=0).test

    assert plays.judge(np.full((len(task.users), 150), -np.inf, np.float32), task) == {"R@20": 0, "NDCG@100": 0}
