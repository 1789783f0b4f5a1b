"""The options that say how sure a classifier is to be before it says a label."""

from collections.abc import Callable
from typing import Any

import click

Json = dict[str, Any]
Command = Callable[..., None]


class Threshold(click.ParamType[tuple[str, float] | str]):
    """`auto`, or `live=0.3`: from where on a label is said."""

    name = "auto|label=share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float] | str:
        if value == "auto":
            return "auto"
        label, _, share = str(value).rpartition("=")
        try:
            number = float(share)
        except ValueError:
            number = -1.0
        if not label or not 0 < number < 1:
            self.fail(f"{value!r}: expected auto, or label=share such as live=0.3", param, ctx)
        return label, number


def learned(command: Command) -> Command:
    """`--calibration`, `--threshold` and `--abstain`, of a training."""
    for option in (
        click.option("--abstain", metavar="ACCURACY", type=click.FloatRange(0, 1, min_open=True, max_open=True),
                     help="Of classes: give no label where so many of the others would not be right."),
        click.option("--threshold", "thresholds", type=Threshold(), multiple=True,
                     help="Of labels: auto, or from where on one is said, such as live=0.3 (repeatable)."),
        click.option("--calibration", type=click.Choice(["auto", "temperature", "none"]),
                     help="Of classes: how probabilities are brought nearer to how often they are right."),
    ):  # fmt: skip
        command = option(command)
    return command


def read(*, calibration: str | None, thresholds: tuple[tuple[str, float] | str, ...], abstain: float | None) -> Json:
    """The params of these options; only those that were given."""
    named = dict(each for each in thresholds if not isinstance(each, str))
    if named and "auto" in thresholds:
        raise click.UsageError("--threshold is auto, or names labels: not both.")
    asked = {
        "calibration": calibration,
        "thresholds": "auto" if "auto" in thresholds else named or None,
        "abstain": None if abstain is None else {"accuracy": abstain},
    }
    return {name: value for name, value in asked.items() if value is not None}
