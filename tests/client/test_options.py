"""Params from files and from the command line, and files that predictions may be saved in."""

from pathlib import Path

import click
import pytest
from etude import gate, options


@pytest.mark.parametrize(("content", "told"), [("{", "not JSON"), ("[1]", "received list"), ("3", "received int")])
def test_a_file_of_params_that_is_no_object_is_said_of_the_option(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "params.json"
    path.write_text(content)

    with pytest.raises(click.BadParameter, match=told) as caught:
        options.read_params((), str(path))

    assert caught.value.param_hint == "--params"


def test_single_params_go_before_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "params.json"
    path.write_text('{"epochs": 5, "seed": 1}')

    assert options.read_params(("epochs=7", "optimizer=adam"), str(path)) == {
        "epochs": 7, "seed": 1, "optimizer": "adam",
    }  # fmt: skip


def test_a_file_of_a_form_that_is_not_asked_for_is_refused() -> None:
    options.demand_format("out.CSV", {"formats": ["csv"]})
    options.demand_format("out.parquet", {})
    options.demand_format(None, {"formats": ["csv"]})

    with pytest.raises(click.UsageError, match="needs parquet"):
        options.demand_format("out.parquet", {"formats": ["csv"]})


def test_an_alias_is_asked_for_with_a_gate_or_without() -> None:
    asked = {"metric": "f1", "not_worse_than": "challenger"}

    assert options.read_promotion(None, None) == {}
    assert options.read_promotion("champion", None) == {"promote": {"alias": "champion"}}
    assert options.read_promotion("champion", "f1=challenger") == {"promote": {"alias": "champion", "require": asked}}
    assert gate.read("f1") == {"metric": "f1", "not_worse_than": "champion"}


def test_a_gate_without_an_alias_is_refused() -> None:
    with pytest.raises(click.UsageError, match="--promote ALIAS"):
        options.read_promotion(None, "accuracy")


@pytest.mark.parametrize(
    ("require", "asked"),
    [
        (None, None),
        ("f1=best,by=0.01,significant", {"not_worse_than": "best", "by": 0.01, "significant": True}),
        ("f1,at_least=0.8", {"at_least": 0.8}),
        ("f1, min_rows=100, no_leakage_warning", {"min_rows": 100, "no_leakage_warning": True}),
        # What needs another version is compared with the champion unless one is named.
        ("f1,at_least=0.8,significant", {"not_worse_than": "champion", "at_least": 0.8, "significant": True}),
    ],
)
def test_a_gate_has_more_after_commas(require: str | None, asked: dict[str, object] | None) -> None:
    assert gate.read(require) == (None if asked is None else {"metric": "f1", **asked})


@pytest.mark.parametrize("wrong", ["=champion", "f1,min_rows=many", "f1,significant=no", "f1,at_most=3", "f1,"])
def test_a_gate_that_cannot_be_read_is_said_of_the_option(wrong: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        gate.read(wrong)

    assert caught.value.param_hint == "--require"


def test_a_gate_of_privacy_may_do_without_a_metric() -> None:
    private = {"epsilon_at_most": 8.0}

    assert gate.read("epsilon_at_most=8") == {"privacy": private}
    assert gate.read("f1, epsilon_at_most=8, membership_auc_at_most=0.65") == {
        "metric": "f1", "privacy": {**private, "membership_auc_at_most": 0.65},
    }  # fmt: skip
    assert gate.read("f1=champion,epsilon_at_most=8") == {
        "metric": "f1", "not_worse_than": "champion", "privacy": private,
    }  # fmt: skip
    with pytest.raises(click.BadParameter, match="expected a number"):
        gate.read("epsilon_at_most=much")
