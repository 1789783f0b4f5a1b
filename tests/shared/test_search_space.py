"""Points of a space: within their bounds, only what counts there, put where a training expects them."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared import search_space
from shared.search_space import Choice, FloatRange, IntRange, Space

Json = dict[str, Any]
FEW = {"type": "int", "low": 1, "high": 2}
SPACE: TypeAdapter[Any] = TypeAdapter(Space)


def read(space: Json) -> Any:
    return SPACE.validate_python(space)


def points(space: Json, count: int = 200, fixed: Json | None = None) -> list[Json]:
    pick = search_space.randomly(random.Random(7))
    return [search_space.draw(read(space), fixed or {}, pick) for _ in range(count)]


@given(low=st.integers(1, 1000), width=st.integers(0, 1000), log=st.booleans(), seed=st.integers(0, 999))
def test_a_whole_number_stays_within_its_bounds(low: int, width: int, log: bool, seed: int) -> None:
    axis = IntRange(type="int", low=low, high=low + width, log=log)

    drawn = search_space.randomly(random.Random(seed))("x", axis)

    assert isinstance(drawn, int) and low <= drawn <= low + width


@given(low=st.floats(1e-6, 1e3), factor=st.floats(1, 1e6), log=st.booleans(), seed=st.integers(0, 999))
def test_a_number_stays_within_its_bounds(low: float, factor: float, log: bool, seed: int) -> None:
    axis = FloatRange(type="float", low=low, high=low * factor, log=log)

    assert axis.low <= search_space.randomly(random.Random(seed))("x", axis) <= axis.high


def test_with_a_logarithm_every_factor_is_as_likely() -> None:
    drawn = [
        point["rate"] for point in points({"rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}, 2000)
    ]

    shares = [sum(10.0**power <= value < 10.0 ** (power + 1) for value in drawn) / 2000 for power in range(-4, 0)]

    assert all(0.2 < share < 0.3 for share in shares)


def test_steps_are_kept() -> None:
    drawn = {point["n"] for point in points({"n": {"type": "int", "low": 10, "high": 34, "step": 10}})}

    assert drawn == {10, 20, 30}


def test_layers_are_as_many_as_drawn_each_with_its_own_values() -> None:
    units = {"type": "int", "low": 1, "high": 1000}
    space = {"hidden": {"type": "layers", "count": {"type": "int", "low": 1, "high": 3}, "each": {"units": units}}}

    drawn = [point["hidden"] for point in points(space)]

    assert {len(layers) for layers in drawn} == {1, 2, 3}
    assert any(len({layer["units"] for layer in layers}) > 1 for layers in drawn)
    alike = [point["hidden"] for point in points({"hidden": {**space["hidden"], "alike": True}})]
    assert all(len({layer["units"] for layer in layers}) == 1 for layers in alike)


def test_a_dimension_counts_only_under_its_condition() -> None:
    space = {
        "optimizer": {"type": "choice", "values": ["sgd", "adam"]},
        "momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": {"optimizer": ["sgd"]}},
    }

    for point in points(space):
        assert ("momentum" in point) == (point["optimizer"] == "sgd")


def test_a_condition_may_be_about_what_is_fixed() -> None:
    space = {"ease.l2": {"type": "float", "low": 1.0, "high": 2.0, "when": {"model": ["ease"]}}}

    assert points(space, 1, {"model": "als"}) == [{}]
    assert list(points(space, 1, {"model": "ease"})[0]) == ["ease.l2"]


def test_values_are_put_at_their_paths_and_what_is_fixed_stays() -> None:
    fixed = {"epochs": 5, "network": {"type": "gru", "head": 16}, "preprocess": "auto"}

    made = search_space.put(fixed, {"network.embedding": 8, "preprocess.categories": 9, "seed": 3})

    assert made == {"epochs": 5, "network": {"type": "gru", "head": 16, "embedding": 8},
                    "preprocess": {"categories": 9}, "seed": 3}  # fmt: skip
    assert fixed["network"] == {"type": "gru", "head": 16}


def test_a_choice_may_be_a_whole_object_that_is_never_shared() -> None:
    value = {"schedule": "cosine", "initial": 0.1}
    axis = Choice(type="choice", values=[value])

    made = search_space.put({}, {"learning_rate": axis.values[0]})
    made["learning_rate"]["initial"] = 0.5

    assert value["initial"] == 0.1


def test_the_order_of_the_names_does_not_matter() -> None:
    space = {
        "a": {"type": "float", "low": 0.0, "high": 1.0, "when": {"z": [1]}},
        "b": FEW,
        "z": {"type": "choice", "values": [1, 2], "when": {"b": [1, 2]}},
    }

    assert points(space) == points(dict(reversed(space.items())))
    assert any("a" in point for point in points(space))


@pytest.mark.parametrize(
    "space",
    [
        {},
        {"x": {"type": "int", "low": 5, "high": 4}},
        {"x": {"type": "float", "low": 0.0, "high": 1.0, "log": True}},
        {"x": {"type": "float", "low": float("nan"), "high": 1.0}},
        {"x": {"type": "int", "low": 1, "high": 2.5}},
        {"x": {"type": "int", "low": 1, "high": 9, "log": True, "step": 2}},
        {"x": {"type": "choice", "values": []}},
        {"x": {"type": "choice", "values": list(range(65))}},
        {"x": {"type": "range", "low": 1, "high": 2}},
        {"x y": FEW},
        {"../x": FEW},
        {"x": {"type": "layers", "count": {"type": "int", "low": 1, "high": 17}, "each": {"n": FEW}}},
        {"x": {"type": "layers", "count": FEW, "each": {}}},
        {"x": {**FEW, "when": {"y": [1]}}, "y": {**FEW, "when": {"x": [1]}}},
        {"x": {**FEW, "when": {"x": [1]}}},
        {f"x{place}": FEW for place in range(41)},
    ],
)  # fmt: skip
def test_what_is_no_space_is_refused(space: Json) -> None:
    with pytest.raises(ValidationError):
        read(space)
