"""The gate before an alias moves: which two versions can be compared, and which of them passes."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from shared import gate
from shared.errors import InvalidRequest, NotAllowedNow
from shared.gate import Measured

REQUIRE = {"metric": "accuracy", "not_worse_than": "champion"}
SPLIT = {"by": "shuffle", "train": 80, "validation": 20}

Json = dict[str, Any]


def lineage(content: str = "a", *, seed: int = 0, split: Json = SPLIT, validation: Json | None = None) -> Json:
    return {"dataset": {"sha256": content}, "split": split, "seed": seed, "params": {"validation": validation}}


def version(number: int, value: float, lineage_: Json, *, metric: str = "accuracy") -> Any:
    metrics = {"validation": {metric: {"value": value, "interval": None}}}
    return SimpleNamespace(id=f"ver_{number}", number=number, metrics=metrics, lineage=lineage_)


def passes(ours: float, theirs: float, *, measured: Measured | None = None, other: Json | None = None) -> bool:
    """Whether version 2 passes before version 1, which `other` tells of."""
    rival = version(1, theirs, lineage() if other is None else other)
    try:
        gate.demand(version(2, ours, lineage()), rival, "classification", REQUIRE, measured)
    except NotAllowedNow as refusal:
        assert refusal.code == "gate_refused"
        return False
    return True


@pytest.mark.parametrize(
    ("ours", "theirs", "is_open"),
    [(0.9, 0.8, True), (0.8, 0.8, True), (0.7, 0.8, False), (math.nan, 0.8, False), (0.8, math.nan, False)],
)
def test_a_version_passes_that_is_not_worse_on_the_same_rows(ours: float, theirs: float, is_open: bool) -> None:
    assert passes(ours, theirs) is is_open


def test_of_a_loss_less_is_better() -> None:
    require = {"metric": "log_loss", "not_worse_than": "champion"}
    better, worse = (version(number, value, lineage(), metric="log_loss") for number, value in ((1, 0.2), (2, 0.4)))

    gate.demand(better, worse, "classification", require, None)
    with pytest.raises(NotAllowedNow, match="the alias stays where it is"):
        gate.demand(worse, better, "classification", require, None)


@pytest.mark.parametrize(
    "other",
    [
        lineage("b"),
        lineage(seed=1),
        lineage(split={**SPLIT, "validation": 30}),
        lineage(validation={"fraction": 0.2, "group": "artist"}),
    ],
    ids=["other content", "another seed", "another share", "by group"],
)
def test_versions_that_held_out_different_rows_are_not_compared(other: Json) -> None:
    assert not passes(0.9, 0.1, other=other)


def test_the_last_rows_are_the_same_whatever_the_seed() -> None:
    last = {"by": "last_rows", "train": 80, "validation": 20}

    assert gate.are_on_same_rows(lineage(seed=1, split=last), lineage(seed=2, split=last))


def test_a_rival_from_other_rows_is_compared_by_what_it_came_to_on_the_new_ones() -> None:
    other = lineage("b")

    assert passes(0.6, 0.9, other=other, measured=Measured("ver_1", 0.5))
    assert not passes(0.6, 0.1, other=other, measured=Measured("ver_1", 0.7))


def test_what_was_measured_of_a_version_that_has_left_the_alias_since_says_nothing() -> None:
    assert not passes(0.6, 0.1, other=lineage("b"), measured=Measured("ver_0", 0.1))
    assert passes(0.6, 0.1, measured=Measured("ver_0", 0.9))


def test_a_rival_that_could_not_be_measured_is_told_with_the_reason() -> None:
    measured = Measured("ver_1", reason="it needs columns that the table lacks: 'tempo'.")

    with pytest.raises(NotAllowedNow, match=r"champion \(version 1\) cannot be measured .* lacks: 'tempo'"):
        gate.demand(version(2, 0.9, lineage()), version(1, 0.1, lineage("b")), "classification", REQUIRE, measured)


def test_a_metric_that_the_kind_does_not_have_is_refused_before_anything_is_compared() -> None:
    with pytest.raises(InvalidRequest, match="received 'accuracy'"):
        gate.demand(version(2, 0.9, lineage()), None, "regression", REQUIRE, None)


def test_an_unknown_metric_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(InvalidRequest, match=r"expected one of .*macro_f1.* received 'tempo'") as refusal:
        gate.demand(version(2, 0.9, lineage()), None, "classification", {"metric": "tempo", "at_least": 0.5})

    assert [fault.pointer for fault in refusal.value.faults] == ["/require/metric"]


def judged(value: float, *, rows: int = 20, warnings: list[Json] | None = None) -> Any:
    found = version(2, value, lineage(split={**SPLIT, "validation": rows}))
    return SimpleNamespace(**vars(found), warnings=warnings or [])


def refused(candidate: Any, require: Json, **known: Any) -> list[str]:
    """The fields of the gate that refuse."""
    try:
        gate.demand(candidate, known.get("rival"), "classification", require, known.get("measured"))
    except NotAllowedNow as refusal:
        assert all(fault.message in refusal.detail for fault in refusal.faults)
        return [str(fault.pointer).removeprefix("/require/") for fault in refusal.faults]
    return []


LEAK = [{"code": "leakage_suspected", "detail": "rows are shared"}]


def test_every_reason_is_told_at_once() -> None:
    require = {
        "metric": "accuracy", "at_least": 0.8, "min_rows": 100, "no_leakage_warning": True, "significant": True,
        "not_worse_than": "champion",
    }  # fmt: skip
    candidate = judged(0.7, warnings=LEAK)
    rival = version(1, 0.75, candidate.lineage)

    found = refused(candidate, require, rival=rival)

    assert found == ["at_least", "not_worse_than", "significant", "min_rows", "no_leakage_warning"]


@pytest.mark.parametrize(
    ("require", "found"),
    [
        ({"at_least": 0.8}, ["at_least"]),
        ({"at_least": 0.7}, []),
        ({"min_rows": 20}, []),
        ({"min_rows": 21}, ["min_rows"]),
        ({"no_leakage_warning": True}, ["no_leakage_warning"]),
    ],
)
def test_each_demand_stands_alone(require: Json, found: list[str]) -> None:
    assert refused(judged(0.7, warnings=LEAK), {"metric": "accuracy", **require}) == found


def test_a_report_of_leakage_counts_as_the_warning_does() -> None:
    candidate = judged(0.7)
    candidate.lineage["leakage"] = {"suspected": True}

    assert refused(candidate, {"metric": "accuracy", "no_leakage_warning": True}) == ["no_leakage_warning"]


def test_of_a_loss_at_least_is_at_most() -> None:
    candidate = version(2, 0.4, lineage(), metric="log_loss")

    assert refused(candidate, {"metric": "log_loss", "at_least": 0.5}) == []
    assert refused(candidate, {"metric": "log_loss", "at_least": 0.3}) == ["at_least"]


def test_rows_that_nobody_counted_are_too_few() -> None:
    candidate = version(2, 0.9, {})

    assert refused(candidate, {"metric": "accuracy", "min_rows": 1}) == ["min_rows"]


def test_of_recordings_it_is_tracks_that_count_and_of_a_test_its_own_rows() -> None:
    segments = {"by": "shuffle", "validation": 500, "tracks": {"train": 40, "validation": 9}}
    tested = version(3, 0.9, lineage(split={**SPLIT, "test": 7}))
    tested.metrics["test"] = tested.metrics["validation"]

    assert gate.judged_rows(version(2, 0.9, lineage(split=segments))) == 9
    assert gate.judged_rows(tested) == 7
    tested.lineage["split"] = {"train": 60, "validation": 20, "test": {"by": "group", "rows": 20, "fraction": 0.2}}
    assert gate.judged_rows(tested) == 20
    tested.lineage["split"]["test"] = {"listeners": 3, "hidden_pairs": 90}
    assert gate.judged_rows(tested) == 3


@pytest.mark.parametrize(("margin", "is_open"), [(0.0, False), (0.04, False), (0.06, True)])
def test_a_margin_lets_a_little_worse_pass(margin: float, is_open: bool) -> None:
    require = {**REQUIRE, "by": margin}

    assert (refused(judged(0.75), require, rival=version(1, 0.8, judged(0.75).lineage)) == []) is is_open


@pytest.mark.parametrize(
    ("interval", "is_open"), [((0.01, 0.2), True), ((0.0, 0.2), False), ((-0.1, 0.2), False), ((-0.2, -0.1), False)]
)
def test_a_difference_that_chance_may_make_does_not_pass(interval: tuple[float, float], is_open: bool) -> None:
    require = {**REQUIRE, "significant": True}
    rival = version(1, 0.1, lineage("b"))
    measured = Measured("ver_1", 0.5, difference=0.1, interval=interval, p=0.03)

    found = refused(judged(0.6), require, rival=rival, measured=measured)

    assert found == ([] if is_open else ["significant"])


def test_of_a_loss_the_difference_must_be_below_nothing() -> None:
    require = {"metric": "log_loss", "not_worse_than": "champion", "significant": True}
    candidate, rival = (version(number, 0.4, lineage(name), metric="log_loss") for number, name in ((2, "a"), (1, "b")))
    below, above = (Measured("ver_1", 0.5, difference=-0.1, interval=ends) for ends in ((-0.2, -0.01), (-0.2, 0.01)))

    assert refused(candidate, require, rival=rival, measured=below) == []
    assert refused(candidate, require, rival=rival, measured=above) == ["significant"]


def test_without_a_comparison_in_pairs_nothing_is_significant() -> None:
    require = {**REQUIRE, "significant": True}
    same = version(1, 0.1, judged(0.9).lineage)

    assert refused(judged(0.9), require, rival=same) == ["significant"]
    assert refused(judged(0.9), require, rival=None) == []


def test_what_was_found_is_kept() -> None:
    measured = Measured("ver_1", 0.5, difference=0.1, interval=(0.05, 0.2), p=0.01)

    kept = gate.demand(judged(0.6), version(1, 0.1, lineage("b")), "classification", REQUIRE, measured)

    assert kept == {
        "require": REQUIRE, "candidate": 0.6, "rival": 0.5, "rival_version": 1, "difference": 0.1,
        "interval": [0.05, 0.2], "p": 0.01,
    }  # fmt: skip
