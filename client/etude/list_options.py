"""Options that say what a ranked list is to be like, of `recommend` and of a scoring by a model that recommends."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import click

from etude.listing import Wanted

LONGEST = 1000
# `2010..2020`, `2024-05-01..`, `..0.5`: two dots between numbers or dates, of which one may be left out.
SPAN = re.compile(r"^(?P<min>[-+\d][\w.:+-]*?)?\.\.(?P<max>[-+\d][\w.:+-]*)?$")

Json = dict[str, Any]
Command = Callable[..., None]
Share = click.FloatRange(0, 1)


class Rule(click.ParamType[tuple[str, Any]]):
    """`licence=cc0`, or `year=2010..2020`: a column of the item table and what stands there."""

    name = "column=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        column, is_set, wanted = str(value).partition("=")
        if not (column and is_set and wanted):
            self.fail(f"{value!r}: expected column=value, such as licence=cc0 or year=2010..2020", param, ctx)
        span = SPAN.match(wanted)
        if span is None or not any(span.groups()):
            return column, wanted
        return column, {end: _bound(each) for end, each in span.groupdict().items() if each}


def _bound(text: str) -> int | float | str:
    """A number where it is one: of a column of numbers the service takes nothing else."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


class Cap(click.ParamType[Json]):
    """`artist=2`: at most so many of one artist."""

    name = "column=number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Json:
        column, _, number = str(value).rpartition("=")
        if not (column and number.isdecimal() and 1 <= int(number) <= LONGEST):
            self.fail(f"{value!r}: expected column=number, such as artist=2", param, ctx)
        return {"column": column, "at_most": int(number)}


def lists(command: Command) -> Command:
    """`--count`, `--allow`, `--deny`, `--cap`, `--diversity`, `--popularity-penalty`, `--min-listeners`, `--heard`."""
    few, rare = "Name no item that fewer have played.", "0 is by score alone, 1 puts first what few have played."
    for option in (
        click.option("--heard", is_flag=True, help="What they have played may stand in the list too."),
        click.option("--min-listeners", type=click.IntRange(0), help=few),
        click.option("--popularity-penalty", type=Share, help=rare),
        click.option("--diversity", type=Share, help="0 is by score alone, 1 as unlike each other as may be."),
        click.option("--cap", type=Cap(), help="Of one artist at most so many: artist=2; any column of the items."),
        click.option("--deny", type=Rule(), multiple=True, help="No item with this, as of --allow (repeatable)."),
        click.option("--allow", type=Rule(), multiple=True,
                     help="Only items with this: licence=cc0, year=2010..2020 (repeatable)."),
        click.option("-k", "--count", type=click.IntRange(1, LONGEST), help="How long the list is; 20 without it."),
    ):  # fmt: skip
        command = option(command)
    return command


def read(
    *,
    count: int | None,
    allow: Sequence[tuple[str, Any]],
    deny: Sequence[tuple[str, Any]],
    heard: bool,
    **rest: Any,
) -> tuple[Wanted, Json]:
    """What was asked of the list, and the options that are none of these."""
    filters = {name: _rules(rules, name) for name, rules in (("allow", allow), ("deny", deny)) if rules}
    said: Json = {
        "k": count, "filters": filters or None, "exclude_heard": False if heard else None,
        **{name: rest.pop(name) for name in ("cap", "diversity", "popularity_penalty", "min_listeners")},
    }  # fmt: skip
    wanted: Wanted = {name: value for name, value in said.items() if value is not None}  # type: ignore[assignment]
    return wanted, rest


def _rules(rules: Sequence[tuple[str, Any]], option: str) -> Json:
    """Several values of one column are one rule; from where to where stands alone."""
    found: dict[str, list[Any]] = {}
    for column, value in rules:
        found.setdefault(column, []).append(value)
    for column, values in found.items():
        if len(values) > 1 and not all(isinstance(value, str) for value in values):
            raise click.BadParameter(f"{column}: expected values, or one from..to.", param_hint=f"--{option}")
    return {column: values if isinstance(values[0], str) else values[0] for column, values in found.items()}
