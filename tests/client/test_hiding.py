"""`--hide`: what of columns is hidden before anything is written."""

import click
import pytest
from etude import hiding


def test_every_rule_is_read() -> None:
    said = hiding.read(
        ["mail=drop", "a=b=hash", "age=width:10", "size=edges:1:2.5", "born=year", "at=month", "post=prefix:2",
         "x=laplace:2:0:10", "y=gaussian:0.5:-1:1"]
    )  # fmt: skip

    assert said == {
        "mail": {"rule": "drop"}, "a=b": {"rule": "hash"}, "age": {"rule": "generalise", "width": 10.0},
        "size": {"rule": "generalise", "edges": [1.0, 2.5]}, "born": {"rule": "generalise", "date": "year"},
        "at": {"rule": "generalise", "date": "month"}, "post": {"rule": "generalise", "prefix": 2},
        "x": {"rule": "noise", "distribution": "laplace", "scale": 2.0, "bounds": [0.0, 10.0]},
        "y": {"rule": "noise", "distribution": "gaussian", "scale": 0.5, "bounds": [-1.0, 1.0]},
    }  # fmt: skip
    assert hiding.read([]) is None


@pytest.mark.parametrize(
    "text",
    [
        "mail",
        "=drop",
        "mail=forget",
        "mail=drop:1",
        "age=width",
        "age=width:x",
        "age=width:1:2",
        "x=laplace:1",
        "p=prefix:1.5",
    ],
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected"):
        hiding.read([text])


def test_a_column_has_one_rule() -> None:
    with pytest.raises(click.BadParameter, match="one rule for 'mail', received two"):
        hiding.read(["mail=drop", "mail=hash"])
