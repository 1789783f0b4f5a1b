"""The meter of membership: it finds what is planted, and nothing where nothing is."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.worker import training_cases as cases
from worker import membership
from worker.kinds.protocol import Prepared
from worker.membership import Losses
from worker.training import Objective, Table


def alone(values: np.ndarray) -> Losses:
    return Losses(values, np.arange(len(values)))


def compare(members: Losses, others: Losses) -> dict[str, Any]:
    return membership.compare(members, others, seed=0, check=lambda: None)


def prepared(train: Table, held_out: Table | None, **more: Any) -> Prepared:
    rows = np.arange(len(train.x))
    held = np.arange(0 if held_out is None else len(held_out.x)) + len(rows)
    return Prepared(train, held_out, (), {}, "binary", {}, rows, held, [], **more)


def random_table(rows: int, seed: int) -> Table:
    return cases.binary(rows, 20, seed=seed)


def test_the_area_is_that_of_scikit_learn_ties_among_it() -> None:
    random = np.random.default_rng(0)
    members, others = np.round(random.normal(size=400), 1), np.round(random.normal(0.4, 1.2, 700), 1)

    found = compare(alone(members), alone(others))["auc"]

    labels = np.r_[np.ones(400), np.zeros(700)]
    assert found["value"] == pytest.approx(roc_auc_score(labels, -np.r_[members, others]), abs=1e-12)
    assert found["interval"][0] < found["value"] < found["interval"][1]


def test_advantage_and_rates_are_as_counted_by_hand() -> None:
    found = compare(alone(np.array([1.0, 2.0, 3.0, 10.0])), alone(np.array([2.5, 5.0, 6.0, 7.0])))

    # The mean loss of members is 4: three of them lie below, and one of the others.
    assert found["advantage"]["value"] == pytest.approx(0.75 - 0.25)
    # Without a false alarm two members are found.
    assert found["tpr_at_fpr_0.01"]["value"] == found["tpr_at_fpr_0.001"]["value"] == pytest.approx(0.5)
    assert found["auc"]["value"] == pytest.approx((4 + 4 + 3 + 0) / 16)


def test_a_constant_predictor_gives_nothing_away() -> None:
    random = np.random.default_rng(1)
    truth, said = random.integers(0, 2, (6000, 1)).astype(np.float32), np.full((6000, 1), 0.4, np.float32)
    losses = membership.loss("binary", truth, said)

    found = compare(alone(losses[:3000]), alone(losses[3000:]))

    # Of two samples of one distribution (Hanley and McNeil 1982).
    error = np.sqrt((3000 + 3000 + 1) / (12 * 3000 * 3000))
    assert abs(found["auc"]["value"] - 0.5) < 3 * error
    assert found["verdict"] == "no_leak_seen" and membership.cautions(found) == []


def test_an_overfit_network_is_found_and_warned_about() -> None:
    # Labels of chance: what is right of a training row can only have been learned by heart.
    train, held_out = (replace(each, x=6 * each.x - 3) for each in (random_table(1200, 0), random_table(1200, 1)))
    params = {"epochs": 100, "hidden": [{"units": 128}], "early_stopping": False, "learning_rate": 0.01}
    spec = cases.describe(train, [{"units": 128}], "sigmoid")
    fitted = cases.fit(spec, Objective("binary_crossentropy"), params, train=train, validation=None)

    found = membership.report(
        prepared(train, held_out), spec, fitted.weights, is_crossed=False, seed=0, check=lambda: None
    )

    assert found["auc"]["interval"][0] > 0.75 and found["verdict"] == "leaks"
    assert (found["members"], found["others"], found["non_members"]) == (1200, 1200, "validation")
    [caution] = membership.cautions(found)
    assert caution.code == "membership_leak"


def test_few_rows_conclude_nothing_and_are_shown() -> None:
    random = np.random.default_rng(2)

    found = compare(alone(random.normal(size=999)), alone(random.normal(5, 1, 5000)))

    assert found["verdict"] == "inconclusive" and found["auc"]["value"] > 0.99


def test_groups_are_drawn_again_whole() -> None:
    random = np.random.default_rng(3)
    of_group = np.repeat(random.normal(size=40), 50)
    values = of_group + 0.01 * random.normal(size=2000)
    units = np.repeat(np.arange(40), 50)

    by_group = compare(Losses(values[:1000], units[:1000]), Losses(values[1000:], units[1000:]))["auc"]["interval"]
    by_row = compare(alone(values[:1000]), alone(values[1000:]))["auc"]["interval"]

    assert by_group[1] - by_group[0] > 3 * (by_row[1] - by_row[0])


@pytest.mark.parametrize(("units", "is_told"), [(1, False), (9, False), (10, True)])
def test_of_few_units_there_is_no_interval(units: int, is_told: bool) -> None:
    values = np.linspace(0, 1, 40)

    sides = Losses(values[::2], np.arange(20) % units), alone(values[1::2])
    found = [compare(*sides), compare(*reversed(sides))]

    assert [each["auc"]["interval"] is not None for each in found] == [is_told, is_told]
    assert is_told or membership.cautions(found[0]) == []


def test_a_loss_without_bound_is_still_counted() -> None:
    found = compare(alone(np.array([0.1, 0.2, 0.3])), alone(np.array([np.inf, np.nan, 0.25])))

    assert found["auc"]["value"] == pytest.approx(8 / 9)


@pytest.mark.parametrize("is_crossed", [False, True])
def test_without_rows_that_did_not_train_nothing_is_measured(is_crossed: bool) -> None:
    train = random_table(50, 0)
    spec = cases.describe(train, [], "sigmoid")
    weights = cases.fit(spec, Objective("binary_crossentropy"), {"epochs": 1}, train=train, validation=None).weights
    # After folds each row that validated has trained the model, too.
    held_out = Table(np.empty((50, 0), np.float32), train.y) if is_crossed else None

    found = membership.report(
        prepared(train, held_out), spec, weights, is_crossed=is_crossed, seed=0, check=lambda: None
    )

    assert not found["measured"] and "hold out a test" in found["reason"]


def test_the_test_comes_before_what_may_have_chosen() -> None:
    train, held_out, tested = (random_table(60, seed) for seed in range(3))
    spec = cases.describe(train, [], "sigmoid")
    weights = cases.fit(spec, Objective("binary_crossentropy"), {"epochs": 1}, train=train, validation=None).weights

    found = membership.report(
        prepared(train, held_out, test=tested, test_rows=np.arange(60) + 200), spec, weights,
        is_crossed=False, seed=0, check=lambda: None,
    )  # fmt: skip

    assert found["non_members"] == "test"


def test_of_many_rows_a_sample_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "MOST_ROWS", 30)
    train, held_out = random_table(100, 0), random_table(40, 1)
    spec = cases.describe(train, [], "sigmoid")
    weights = cases.fit(spec, Objective("binary_crossentropy"), {"epochs": 1}, train=train, validation=None).weights

    found = membership.report(prepared(train, held_out), spec, weights, is_crossed=False, seed=0, check=lambda: None)

    assert (found["members"], found["others"]) == (30, 30)


def test_losses_are_those_of_the_task() -> None:
    true, said = np.array([[1.0, 0.0]]), np.array([[0.8, 0.2]])

    assert membership.loss("one_hot", true, said) == pytest.approx([-np.log(0.8)])
    assert membership.loss("multi_hot", true, said) == pytest.approx([-np.log(0.8)])
    assert membership.loss("numbers", true, said) == pytest.approx([0.04])
    assert np.isfinite(membership.loss("binary", np.array([[1.0]]), np.array([[0.0]]))).all()
