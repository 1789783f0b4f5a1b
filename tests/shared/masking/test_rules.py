"""Which rules may be declared, and what they may not do to a column's role."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.masking import rules

MASKING = TypeAdapter(rules.Masking)
NOISE = {"rule": "noise", "distribution": "laplace", "scale": 1.0, "bounds": [0.0, 1.0]}


def test_rules_are_told_as_they_were_declared() -> None:
    told = {"a": {"rule": "drop"}, "b": {"rule": "hash"}, "c": {"rule": "generalise", "width": 5.0}, "d": NOISE}

    assert rules.as_json(MASKING.validate_python(told)) == told


@pytest.mark.parametrize(
    "rule",
    [
        {},
        "drop",
        {"rule": "forget"},
        {"rule": "drop", "width": 5.0},
        {"rule": "hash", "key": "mine"},
        {"rule": "generalise"},
        {"rule": "generalise", "width": 5.0, "prefix": 1},
        {"rule": "generalise", "width": 0.0},
        {"rule": "generalise", "width": "5"},
        {"rule": "generalise", "width": 1e-300},
        {"rule": "generalise", "edges": []},
        {"rule": "generalise", "edges": [1.0, 1.0]},
        {"rule": "generalise", "date": "day"},
        {"rule": "generalise", "prefix": 0},
        {"rule": "generalise", "groups": {"a": ["x"], "b": ["x"]}},
        {"rule": "generalise", "groups": {"NA": ["x"]}},
        {**NOISE, "scale": -1.0},
        {**NOISE, "scale": 1e-320},
        {**NOISE, "bounds": [1.0, 1.0]},
        {**NOISE, "bounds": [1.0]},
        {**NOISE, "bounds": [0.0, float("inf")]},
        {**NOISE, "seed": 7},
        {"rule": "noise", "distribution": "laplace", "scale": 1.0},
    ],
)
def test_a_rule_that_is_none_is_refused(rule: Any) -> None:
    with pytest.raises(ValidationError):
        MASKING.validate_python({"a": rule})


@pytest.mark.parametrize(
    ("rule", "roles", "is_fit"),
    [
        ({"rule": "drop"}, {"target": "a"}, False),
        ({"rule": "drop"}, {"target": ["b", "a"]}, False),
        ({"rule": "drop"}, {"group": "a"}, False),
        ({"rule": "drop"}, {"drop": ["a"]}, False),
        ({"rule": "drop"}, {"target": "b"}, True),
        ({"rule": "hash"}, {"target": "a"}, True),
        ({"rule": "hash"}, {"id": "a"}, True),
        ({"rule": "hash"}, {"item": "a"}, True),
        ({"rule": "hash"}, {"time": "a"}, False),
        ({"rule": "hash"}, {"user": "a", "pseudonymise": True}, False),
        ({"rule": "hash"}, {"consent": "a"}, False),
        ({"rule": "generalise", "prefix": 2}, {"licence": "a"}, False),
        ({"rule": "generalise", "groups": {"refused": ["never"]}}, {"consent": "a"}, True),
        (NOISE, {"target": "a"}, True),
        (NOISE, {"weight": "a"}, True),
        (NOISE, {"id": "a"}, False),
        (NOISE, {"group": "a"}, False),
        (NOISE, {"time": "a"}, False),
        ({"rule": "generalise", "date": "month"}, {"time": "a"}, True),
    ],
)
def test_a_rule_leaves_a_role_what_it_needs(rule: Any, roles: dict[str, Any], is_fit: bool) -> None:
    found = list(rules.misfits(MASKING.validate_python({"a": rule}), roles))

    assert (not found) is is_fit
    assert all(column == "a" and said.startswith("expected") for column, said in found)
