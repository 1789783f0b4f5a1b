"""What a client reads when its document does not fit: the place in its own document, and what was expected there."""

import pytest
from pydantic import ValidationError

from shared import refusals
from shared.kinds.classification import TrainParams
from web.requests import Recommend


@pytest.mark.parametrize(
    ("sent", "pointer", "said"),
    [
        ({"learning_rate": 100}, "/params/learning_rate", "expected less than or equal to 10, received 100"),
        ({"learning_rate": "fast"}, "/params/learning_rate", "expected a valid number, received 'fast'"),
        ({"learning_rate": {"initial": 1}}, "/params/learning_rate", "expected the field 'schedule', received none"),
        (
            {"learning_rate": {"schedule": "cosine", "initial": -1}},
            "/params/learning_rate/initial",
            "expected greater than 0, received -1",
        ),
        ({"validation": 5}, "/params/validation", "expected an object, received 5"),
        ({"Foo-x": 1}, "/params/Foo-x", "this field is unknown here"),
        ({"hidden": [{"units": 4}, {"units": 4, "Unit": 3}]}, "/params/hidden/1/Unit", "this field is unknown here"),
    ],
)
def test_a_fault_is_told_once_at_its_place(sent: dict[str, object], pointer: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainParams.model_validate(sent)

    faults = refusals.of(caught.value, under="/params").faults

    assert [(fault.pointer, fault.message) for fault in faults] == [(pointer, said)]


def test_every_fault_is_told() -> None:
    with pytest.raises(ValidationError) as caught:
        TrainParams.model_validate({"epochs": 0, "batch_size": "x", "seed": -1})

    faults = refusals.of(caught.value).faults

    assert [fault.pointer for fault in faults] == ["/batch_size", "/epochs", "/seed"]


@pytest.mark.parametrize(
    ("sent", "pointers"),
    [
        ({"user": ["Björk"]}, {"/user"}),
        ({"user": "Björk" * 500}, {"/user"}),
        ({"items": "Björk"}, {"/items"}),
        ({"items": [{"item": ["Björk"]}]}, {"/items/0", "/items/0/item"}),
    ],
)
def test_of_a_listener_and_of_items_the_sort_alone_is_told(sent: dict[str, object], pointers: set[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Recommend.model_validate(sent)

    faults = refusals.of(caught.value).faults

    assert {fault.pointer for fault in faults} == pointers
    assert not [fault for fault in faults if "Björk" in fault.message]
