"""Whether a listener has trained a recommender: found of one that learns by heart, not of one that counts plays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Row

from tests.worker import plays as made_plays
from tests.worker import working
from tests.worker.plays import Plays
from tests.worker.recommended import store, train
from worker import listener_membership, runner
from worker.listener_membership import losses
from worker.recommenders.histories import gather
from worker.runner import Post

Json = dict[str, Any]

MEMORISING: Json = {"model": "ease", "ease": {"l2": 1.0, "rank": "full"}, "weighting": "binary"}
COUNTING: Json = {"model": "popularity"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough: a report goes the way that the rest of a version goes."""
    return sqlite_url


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return store(post, tenant, tmp_path / "plays", made_plays.interactions(without_taste(300, 400)), name="plays")


def without_taste(users: int, items: int) -> Plays:
    """Who plays what is chance: that two items are played together can only have been learned by heart."""
    made = made_plays.make(users, items, seed=5)
    random = np.random.default_rng(5)
    made.item[:] = random.permutation(made.item)
    return made


def version(post: Post, tenant: str, dataset: str, params: Json, **values: Any) -> Row[Any]:
    return working.made(post, train(post, tenant, dataset, **params).id)[0]


def test_who_has_trained_is_found_where_a_model_learns_by_heart(post: Post, tenant: str, dataset: str) -> None:
    found, plain = (
        version(post, tenant, dataset, params).lineage["privacy"]["membership"] for params in (MEMORISING, COUNTING)
    )

    assert found["measured"] and found["unit"] == "listener" and found["members"] == found["others"] == 60
    # What one listener of three hundred has played counts a little among all.
    assert found["auc"]["interval"][0] > 0.8 > plain["auc"]["value"]
    # Of sixty a side.
    assert found["verdict"] == plain["verdict"] == "inconclusive"


def test_a_leak_is_warned_about(post: Post, tenant: str, dataset: str) -> None:
    leaking = version(post, tenant, dataset, MEMORISING)

    [said] = [each["detail"] for each in leaking.warnings if each["code"] == "membership_leak"]
    assert said.startswith("whether a listener was learned from")


def test_a_gate_refuses_what_learns_by_heart_and_takes_what_counts(post: Post, tenant: str, dataset: str) -> None:
    gate = {"alias": "champion", "require": {"privacy": {"membership_auc_at_most": 0.75}}}

    refused, taken = (promoted(post, tenant, dataset, params, gate) for params in (MEMORISING, COUNTING))

    assert not refused["moved"] and "membership AUC" in refused["reason"]["detail"]
    assert taken["moved"]


def promoted(post: Post, tenant: str, dataset: str, params: Json, gate: Json) -> Json:
    """What came of asking for an alias."""
    asked = {"kind": "recommendation", "model": "taste", "params": params, "promote": gate}
    job = working.submit(post, tenant, dataset, **asked)
    runner.run(post, "train", only_tenant=None)
    said: Json = working.find(post, job).result["promotion"]
    return said


def test_of_a_few_listeners_nobody_can_be_told(post: Post, tenant: str, tmp_path: Path) -> None:
    few = store(post, tenant, tmp_path / "few", made_plays.interactions(made_plays.make(9, 30)), name="few")

    told = version(post, tenant, few, COUNTING).lineage["privacy"]["membership"]

    assert not told["measured"] and "ten listeners" in told["reason"]


def test_the_loss_is_the_share_that_stands_before_what_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    class ByPlace:
        """Likes the first items best, and cannot recommend the last."""

        def read(self, given: Any) -> Any:
            return given

        def scores(self, users: Any) -> np.ndarray:
            return np.tile(np.array([5, 4, 3, 2, 1, -np.inf], np.float32), (len(users), 1))

    def of(items: list[int]) -> float:
        users = np.zeros(len(items), np.int64)
        histories = gather(users, np.array(items), np.ones(len(items)), users=1, items=6)
        (loss,) = losses(ByPlace(), histories, np.random.default_rng(0), lambda: None)  # type: ignore[arg-type]
        return float(loss)

    # One that is played and hidden, among all six; the same where much is hidden.
    for most in (10, 0):
        monkeypatch.setattr(listener_membership, "SCANNED_AT_MOST", most)
        assert [of([item]) for item in range(6)] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
