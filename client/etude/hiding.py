"""What is hidden of columns before anything is written: `mail=drop` on the command line as a dataset's `masking`."""

from collections.abc import Callable, Sequence
from typing import Any

import click

Json = dict[str, Any]


def _noise(distribution: str) -> Callable[[list[str]], Json]:
    def read(parts: list[str]) -> Json:
        scale, low, high = map(float, parts)
        return {"rule": "noise", "distribution": distribution, "scale": scale, "bounds": [low, high]}

    return read


def _alone(rule: Json) -> Callable[[list[str]], Json]:
    def read(parts: list[str]) -> Json:
        if parts:
            raise ValueError
        return rule

    return read


def _width(parts: list[str]) -> Json:
    (width,) = map(float, parts)
    return {"rule": "generalise", "width": width}


def _edges(parts: list[str]) -> Json:
    return {"rule": "generalise", "edges": [float(part) for part in parts]}


def _prefix(parts: list[str]) -> Json:
    (count,) = map(int, parts)
    return {"rule": "generalise", "prefix": count}


RULES: dict[str, Callable[[list[str]], Json]] = {
    "drop": _alone({"rule": "drop"}), "hash": _alone({"rule": "hash"}),
    "year": _alone({"rule": "generalise", "date": "year"}), "month": _alone({"rule": "generalise", "date": "month"}),
    "width": _width, "edges": _edges, "prefix": _prefix, "laplace": _noise("laplace"), "gaussian": _noise("gaussian"),
}  # fmt: skip


def read(text: Sequence[str]) -> Json | None:
    """The rules of `--hide`, None without. Raises BadParameter with what was expected."""
    masking: Json = {}
    for each in text:
        # A column may have = in its name, a rule has none.
        column, is_set, said = each.rpartition("=")
        name, *parts = said.split(":")
        if not (column and is_set and name in RULES):
            raise click.BadParameter(
                f"{each!r}: expected column=rule, a rule being {', '.join(RULES)}.", param_hint="--hide"
            )
        if column in masking:
            raise click.BadParameter(f"expected one rule for {column!r}, received two.", param_hint="--hide")
        try:
            masking[column] = RULES[name](parts)
        except ValueError as cause:
            raise click.BadParameter(f"{each!r}: expected numbers as in --help.", param_hint="--hide") from cause
    return masking or None
