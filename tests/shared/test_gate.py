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
        gate.demand(
            version(2, 0.9, lineage()), version(1, 0.1, lineage("b")), "classification", REQUIRE, measured
        )


def test_a_metric_that_the_kind_does_not_have_is_refused_before_anything_is_compared() -> None:
    with pytest.raises(InvalidRequest, match="received 'accuracy'"):
        gate.demand(version(2, 0.9, lineage()), None, "regression", REQUIRE, None)
