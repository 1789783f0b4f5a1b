"""`--require` as a gate: `accuracy=champion`, and more after commas: `accuracy=champion,min_rows=100,significant`."""

from typing import Any

import click

# Without a value, and with one of a sort.
FLAGS = ("significant", "no_leakage_warning")
NUMBERS = {"by": float, "at_least": float, "min_rows": int}
# What stands without another version to compare with.
ALONE = ("at_least", "min_rows", "no_leakage_warning")
OF_TWO = ("by", "significant")
TOLD = "metric=alias, then by=, at_least=, min_rows=, significant, no_leakage_warning"

Json = dict[str, Any]


def read(require: str | None) -> Json | None:
    """The gate as the service has it; a metric that is named alone is compared with the champion."""
    if not require:
        return None
    first, *rest = require.split(",")
    metric, _, other = first.partition("=")
    if not metric:
        raise click.BadParameter(f"{require!r}: expected {TOLD}.", param_hint="--require")
    asked = dict(_term(term.strip()) for term in rest)
    if not other and (any(name in asked for name in OF_TWO) or not any(name in asked for name in ALONE)):
        other = "champion"
    return {"metric": metric, **({"not_worse_than": other} if other else {}), **asked}


def _term(term: str) -> tuple[str, Any]:
    name, is_set, value = term.partition("=")
    if name in FLAGS and not is_set:
        return name, True
    if name in NUMBERS:
        try:
            return name, NUMBERS[name](value)
        except ValueError as cause:
            raise click.BadParameter(f"{term!r}: expected a number.", param_hint="--require") from cause
    raise click.BadParameter(f"{term!r}: expected {TOLD}.", param_hint="--require")
