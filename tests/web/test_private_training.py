"""What a private training cannot be beside, refused at the door with its place; and how a card tells of privacy."""

from typing import Any

import pytest

from shared.database import Database
from tests.factories import make_dataset
from tests.web.calling import Caller
from tests.web.registry import lineage, make_version

Json = dict[str, Any]
COLUMNS = [
    {"name": "tempo", "type": "number", "missing": 0, "distinct": 100, "constant": False},
    {"name": "key", "type": "text", "missing": 0, "distinct": 3, "constant": False},
    {"name": "genre", "type": "text", "missing": 0, "distinct": 2, "constant": False},
    {"name": "artist", "type": "text", "missing": 0, "distinct": 9, "constant": False},
    {"name": "label", "type": "text", "missing": 0, "distinct": 1, "constant": False},
]
ROLES = {"target": ["genre"], "group": None, "id": None, "mask": [], "drop": ["artist", "label"]}
SONGS = {"rows": 100, "columns": COLUMNS, "roles": ROLES, "classes": {"rock": 50, "pop": 50}}
PRIVACY: Json = {
    "epsilon": 3.0, "bounds": {"tempo": [40.0, 220.0]}, "categories": {"key": ["C", "G"]}, "labels": ["rock", "pop"],
}  # fmt: skip
DP: Json = {
    "epsilon": 2.5, "delta": 1e-4, "accountant": "dp-accounting PLD 0.6.0", "noise_multiplier": 1.1, "clip_norm": 1.0,
    "sampling": "Poisson", "sampling_probability": 0.1, "steps": 100, "unit": "group", "units": 10,
    "examples_per_unit": 4, "adjacency": "one group more or less among those that train", "noise": "keyed",
    "preprocessing": "as declared", "not_counted": ["held-out rows"],
}  # fmt: skip


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is refused is written nowhere; what is read is read alike from both databases."""
    return sqlite_url


@pytest.fixture
def dataset(database: Database, tenant: str) -> str:
    with database.transaction() as sql:
        return make_dataset(sql, tenant, profile=SONGS)


def privacy(**changed: Any) -> Json:
    return {"privacy": {name: value for name, value in {**PRIVACY, **changed}.items() if value is not None}}


def submit(caller: Caller, dataset: str, params: Json, *, action: str = "train", kind: str = "classification") -> Any:
    return caller.call("POST", "/v1/jobs", {"action": action, "kind": kind, "dataset": dataset, "params": params})


def test_a_private_training_is_taken(caller: Caller, dataset: str) -> None:
    answer = submit(caller, dataset, privacy())

    assert answer.status_code == 202, answer.json


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        (privacy(epsilon=0.0001), "/params/privacy/epsilon"),
        (privacy(noise_multiplier=1.0), "/params/privacy"),
        (privacy(epsilon=None), "/params/privacy"),
        (privacy(clip_norm=0.0), "/params/privacy/clip_norm"),
        (privacy(delta=0.01), "/params/privacy/delta"),
        (privacy(delta=1.0), "/params/privacy/delta"),
        (privacy(delta=1e-300), "/params/privacy/delta"),
        (privacy(clip_norm=5e-324), "/params/privacy/clip_norm"),
        (privacy(bounds={"tempo": [-1e308, 1e308]}), "/params/privacy/bounds/tempo/0"),
        (privacy(bounds={"tempo": [0.0, 5e-324]}), "/params/privacy/bounds/tempo"),
        (privacy(unit="group"), "/params/privacy/unit"),
        ({**privacy(unit="group"), "validation": {"group": "label"}}, "/params/privacy/unit"),
        (privacy(unit="user"), "/params/privacy/unit"),
        (privacy(bounds={"tempo": [3.0, 3.0]}), "/params/privacy/bounds/tempo"),
        (privacy(bounds={}), "/params/privacy/bounds"),
        (privacy(bounds={"tempo": [0.0, 1.0], "pitch": [0.0, 1.0]}), "/params/privacy/bounds/pitch"),
        (privacy(categories={}), "/params/privacy/categories"),
        (privacy(bounds={"tempo": [0.0, 1.0], "key": [0.0, 1.0]}), "/params/privacy/bounds/key"),
        (privacy(categories={"key": ["C", "G"], "tempo": ["1"]}), "/params/privacy/categories/tempo"),
        (privacy(labels=None), "/params/privacy/labels"),
        (privacy(labels=["rock", "rock"]), "/params/privacy"),
        ({**privacy(), "batch_size": 101}, "/params/batch_size"),
        ({**privacy(), "validation": {"folds": 3}}, "/params/validation/folds"),
        ({**privacy(), "early_stopping": True}, "/params/early_stopping"),
        ({**privacy(), "early_stopping": {"patience": 3}}, "/params/early_stopping"),
        ({**privacy(), "learning_rate": {"schedule": "plateau"}}, "/params/learning_rate"),
        ({**privacy(), "hidden": [{"units": 4}, {"units": 4, "batch_normalization": True}]},
         "/params/hidden/1/batch_normalization"),
        ({**privacy(), "class_weights": "balanced"}, "/params/class_weights"),
        ({**privacy(), "calibration": "temperature"}, "/params/calibration"),
        ({**privacy(), "thresholds": "auto"}, "/params/thresholds"),
        ({**privacy(), "abstain": {"accuracy": 0.9}}, "/params/abstain"),
        ({**privacy(), "baselines": True}, "/params/baselines"),
        ({**privacy(), "importance": True}, "/params/importance"),
        ({**privacy(), "keep_examples": True}, "/params/keep_examples"),
        ({**privacy(), "compare_random_split": True}, "/params/compare_random_split"),
        ({**privacy(), "preprocess": {"missing": "median"}}, "/params/preprocess"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_privacy_is_refused_with_its_place(
    caller: Caller, dataset: str, params: Json, pointer: str
) -> None:
    answer = submit(caller, dataset, params)

    assert answer.status_code == 422
    assert pointer in [fault["pointer"] for fault in answer.json["errors"]], answer.json


def test_all_that_is_wrong_is_told_at_once(caller: Caller, dataset: str) -> None:
    params = {**privacy(bounds={}, categories={}), "early_stopping": True, "batch_size": 500}

    answer = submit(caller, dataset, params)

    assert answer.json["code"] == "privacy_misfit" and len(answer.json["errors"]) == 4


def test_without_preprocessing_nothing_need_be_declared_of_numbers(caller: Caller, dataset: str) -> None:
    params = {**privacy(bounds=None, categories=None), "preprocess": "none"}

    assert submit(caller, dataset, params).status_code == 202


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"trials": 2, "train": privacy()}, "/params/train/privacy"),
        ({"trials": 2, "space": {"privacy.epsilon": {"type": "float", "low": 1.0, "high": 2.0}}},
         "/params/space/privacy.epsilon"),
    ],
)  # fmt: skip
def test_a_search_is_not_private(caller: Caller, dataset: str, params: Json, pointer: str) -> None:
    answer = submit(caller, dataset, params, action="tune")

    assert (answer.status_code, answer.json["code"]) == (422, "privacy_misfit")
    assert pointer in [fault["pointer"] for fault in answer.json["errors"]]


def test_an_estimate_counts_that_private_steps_take_longer(caller: Caller, dataset: str) -> None:
    plain, private = (
        caller.call("POST", "/v1/estimate", {
            "action": "train", "kind": "classification", "dataset": dataset, "params": {"epochs": 5000, **params},
        }).json["expected_s"]
        for params in ({"baselines": False, "early_stopping": False}, privacy())
    )  # fmt: skip

    assert private > 1.5 * plain


def private_version(database: Database, tenant: str, **said: Any) -> int:
    with database.transaction() as sql:
        dataset = make_dataset(sql, tenant, profile=SONGS)
        return make_version(sql, tenant, lineage={**lineage(dataset), **said}, datasets=[dataset])


def membership(low: float, high: float, verdict: str = "no_leak_seen") -> Json:
    figure = {"value": (low + high) / 2, "interval": [low, high]}
    return {
        "measured": True, "attack": "loss threshold", "members": 1000, "others": 2000, "auc": figure,
        "advantage": figure, "tpr_at_fpr_0.01": figure, "tpr_at_fpr_0.001": figure, "verdict": verdict,
        "non_members": "test",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"dp": DP, "membership": membership(0.5, 0.53)},
         ["epsilon 2.5", "each group", "hardly be told", "held-out rows", "0.515"]),
        ({"dp": {**DP, "epsilon": None, "reason": "the seed <b>is</b> known"},
          "membership": membership(0.7, 0.8, "leaks")},
         ["no epsilon", "seed", "better than by chance"]),
        ({"dp": "none", "membership": {"measured": False, "reason": "nothing was held out"}},
         ["Differential privacy: none (trained without it)", "nothing was held out"]),
        ({"dp": "none", "membership": membership(0.4, 0.9, "inconclusive")}, ["too few rows"]),
        ({"dp": "none", "membership": {**membership(0.5, 0.53), "folds": 5, "caution": "attacked were others"}},
         ["hardly be told", "attacked were others"]),
    ],
)  # fmt: skip
def test_a_card_says_in_words_what_is_given_away(
    caller: Caller, database: Database, tenant: str, told: Json, words: list[str]
) -> None:
    number = private_version(database, tenant, privacy=told)

    for form in ("html", "markdown"):
        text = caller.call("GET", f"/v1/models/songs/versions/{number}/card?format={form}").get_data(as_text=True)
        assert "Privacy" in text and all(word in text for word in words), text
        assert "<b>is</b>" not in text
    said = caller.call("GET", f"/v1/models/songs/versions/{number}/card?format=json").json
    assert said["privacy"] == told
    assert ("membership" in said["not_measured"]) == (not told["membership"]["measured"])


def test_a_card_of_an_older_version_says_that_it_was_not_measured(
    caller: Caller, database: Database, tenant: str
) -> None:
    number = private_version(database, tenant)

    said = caller.call("GET", f"/v1/models/songs/versions/{number}/card?format=json").json

    assert said["privacy"] is None and "membership" in said["not_measured"]


def require(caller: Caller, number: int, **asked: Any) -> Any:
    return caller.call("PUT", "/v1/models/songs/aliases/champion", {"version": number, "require": asked})


def test_a_gate_of_privacy_needs_no_metric_and_refuses_with_every_reason(
    caller: Caller, database: Database, tenant: str
) -> None:
    told = {"dp": {**DP, "epsilon": 9.5}, "membership": membership(0.6, 0.7)}
    number = private_version(database, tenant, privacy=told)

    refused = require(caller, number, privacy={"membership_auc_at_most": 0.65, "epsilon_at_most": 8.0})
    taken = require(caller, number, privacy={"membership_auc_at_most": 0.7, "epsilon_at_most": 10.0})

    assert (refused.status_code, refused.json["code"]) == (409, "gate_refused")
    assert [fault["pointer"] for fault in refused.json["errors"]] == [
        "/require/privacy/membership_auc_at_most", "/require/privacy/epsilon_at_most",
    ]  # fmt: skip
    assert taken.status_code == 200, taken.json


def test_a_gate_refuses_what_has_no_report_and_no_epsilon(caller: Caller, database: Database, tenant: str) -> None:
    old = private_version(database, tenant)
    plain = private_version(database, tenant, privacy={"dp": "none", "membership": membership(0.5, 0.51)})
    asked = {"membership_auc_at_most": 0.6, "epsilon_at_most": 8.0}

    refusals = [require(caller, number, privacy=asked).json["detail"] for number in (old, plain)]

    assert "no membership report" in refusals[0] and "not trained privately" in refusals[0]
    assert "membership" not in refusals[1] and "not trained privately" in refusals[1]


NO_INTERVAL = {"value": 0.2, "interval": None}


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (membership(0.50, 0.60), None),
        (membership(0.50, 0.601), "upper end"),
        (membership(0.65, 0.75, "leaks"), "upper end"),
        (membership(0.40, 0.59, "inconclusive"), None),
        (membership(0.40, 0.90, "inconclusive"), "1,000 that trained and 2,000 that did not are too few to tell"),
        ({**membership(0.1, 0.3, "inconclusive"), "auc": NO_INTERVAL}, "without an interval: hold out more rows"),
        ({"measured": False, "reason": "nothing was held out"}, "no membership report: nothing was held out"),
    ],
    ids=["passes", "too high", "leaks", "few and low", "few and wide", "too few for an interval", "unmeasured"],
)
def test_a_gate_compares_the_upper_end_and_lets_nothing_pass_that_is_unknown(
    caller: Caller, database: Database, tenant: str, report: Json, said: str | None
) -> None:
    number = private_version(database, tenant, privacy={"dp": "none", "membership": report})

    answer = require(caller, number, privacy={"membership_auc_at_most": 0.6})

    assert answer.status_code == (200 if said is None else 409), answer.json
    assert said is None or said in answer.json["detail"]


def test_a_refusal_of_what_surely_leaks_does_not_ask_for_more_rows(
    caller: Caller, database: Database, tenant: str
) -> None:
    told = {"dp": "none", "membership": membership(0.7, 0.9, "inconclusive")}
    number = private_version(database, tenant, privacy=told)

    assert "too few" not in require(caller, number, privacy={"membership_auc_at_most": 0.6}).json["detail"]


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"privacy": {}}, "/require/privacy"),
        ({"privacy": {"membership_auc_at_most": 0.3}}, "/require/privacy/membership_auc_at_most"),
        ({"privacy": {"epsilon_at_most": 0.0}}, "/require/privacy/epsilon_at_most"),
        ({"privacy": {"epsilon_at_most": 1.0}, "at_least": 0.5}, "/require/not_worse_than"),
        ({"min_rows": 5}, "/require/metric"),
    ],
)
def test_a_gate_that_says_nothing_sensible_is_refused(
    caller: Caller, database: Database, tenant: str, asked: Json, pointer: str
) -> None:
    number = private_version(database, tenant)

    answer = require(caller, number, **asked)

    assert answer.status_code == 422
    assert pointer in [fault["pointer"] for fault in answer.json["errors"]]


def test_a_privately_trained_version_is_not_reproduced_but_with_a_seed(
    caller: Caller, database: Database, tenant: str
) -> None:
    params = {"epochs": 5, **privacy()}
    number = private_version(database, tenant, params=params)

    answer = caller.call("POST", "/v1/jobs", {"action": "reproduce", "model": f"songs@{number}"})

    assert (answer.status_code, answer.json["code"]) == (409, "not_reproducible")


@pytest.fixture
def plays(database: Database, tenant: str) -> str:
    roles = {**ROLES, "target": [], "user": "who", "item": "what"}
    with database.transaction() as sql:
        return make_dataset(sql, tenant, format="interactions", profile={**SONGS, "roles": roles})


def test_a_recommender_may_be_private(caller: Caller, plays: str) -> None:
    asked = [{"epsilon": 3.0}, {"noise_multiplier": 1.0, "delta": 1e-6}]
    answers = [submit(caller, plays, {"privacy": each}, kind="recommendation") for each in asked]

    assert [answer.status_code for answer in answers] == [202, 202]


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"model": "als"}, "/params/model"),
        ({"candidates": ["popularity", "autoencoder"]}, "/params/candidates"),
        ({"early_stopping": True}, "/params/early_stopping"),
        ({"learning_rate": {"schedule": "plateau"}}, "/params/learning_rate"),
        ({"network": {"hidden": [{"units": 8}]}}, "/params/network/hidden"),
        ({"content": {"held_out": 0.2}}, "/params/content"),
        ({"bots": "leave_out"}, "/params/bots"),
        ({"least_listeners": 2}, "/params/least_listeners"),
        ({"privacy": {"epsilon": 3.0, "noise_multiplier": 1.0}}, "/params/privacy"),
        ({"privacy": {"epsilon": 3.0, "bounds": {"plays": [0, 1]}}}, "/params/privacy/bounds"),
        ({"privacy": {"epsilon": 3.0, "unit": "row"}}, "/params/privacy/unit"),
    ],
)
def test_what_no_private_recommender_has_is_refused_with_its_place(
    caller: Caller, plays: str, params: Json, pointer: str
) -> None:
    answer = submit(caller, plays, {"privacy": {"epsilon": 3.0}, **params}, kind="recommendation")

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


def test_no_search_goes_over_private_recommenders(caller: Caller, plays: str) -> None:
    params = {"trials": 2, "train": {"privacy": {"epsilon": 3.0}}}
    answer = submit(caller, plays, params, kind="recommendation", action="tune")

    assert (answer.status_code, answer.json["code"]) == (422, "privacy_misfit")
