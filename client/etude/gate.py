"""`--require` as a gate: `accuracy=champion`, and more after commas: `accuracy=champion,min_rows=100,significant`."""

from typing import Any

import click

# Without a value, and with one of a sort.
FLAGS = ("significant", "no_leakage_warning")
NUMBERS = {"by": float, "at_least": float, "min_rows": int}
# Of what a version gives away; with these a gate may do without a metric.
PRIVACY = ("membership_auc_at_most", "epsilon_at_most")
# What stands without another version to compare with.
ALONE = ("at_least", "min_rows", "no_leakage_warning")
OF_TWO = ("by", "significant")
TOLD = (
    "metric=alias, then by=, at_least=, min_rows=, significant, no_leakage_warning, membership_auc_at_most=, "
    "epsilon_at_most="
)

Json = dict[str, Any]


def read(require: str | None) -> Json | None:
    """The gate as the service has it; a metric that is named alone is compared with the champion."""
    if not require:
        return None
    terms = [term.strip() for term in require.split(",")]
    private = dict(_number(term) for term in terms if term.partition("=")[0] in PRIVACY)
    terms = [term for term in terms if term.partition("=")[0] not in PRIVACY]
    if not private:
        return _read(terms, require)
    return {**(_read(terms, require, is_private=True) if terms else {}), "privacy": private}


def _read(terms: list[str], require: str, *, is_private: bool = False) -> Json:
    first, *rest = terms
    metric, _, other = first.partition("=")
    if not metric:
        raise click.BadParameter(f"{require!r}: expected {TOLD}.", param_hint="--require")
    asked = dict(_term(term) for term in rest)
    stands_alone = is_private or any(name in asked for name in ALONE)
    if not other and (any(name in asked for name in OF_TWO) or not stands_alone):
        other = "champion"
    return {"metric": metric, **({"not_worse_than": other} if other else {}), **asked}


def _term(term: str) -> tuple[str, Any]:
    name, is_set, _ = term.partition("=")
    if name in FLAGS and not is_set:
        return name, True
    if name in NUMBERS:
        return _number(term)
    raise click.BadParameter(f"{term!r}: expected {TOLD}.", param_hint="--require")


def _number(term: str) -> tuple[str, Any]:
    name, _, value = term.partition("=")
    try:
        return name, NUMBERS.get(name, float)(value)
    except ValueError as cause:
        raise click.BadParameter(f"{term!r}: expected a number.", param_hint="--require") from cause
