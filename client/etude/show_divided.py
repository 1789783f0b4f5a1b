"""What a training came to otherwise than as a whole: fold by fold, value by value, and on a split that flatters."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from etude import page

Json = dict[str, Any]

# What of `metrics` is no part that the network and the simpler models were judged on.
APART = ("folds", "per_group", "random_split")
FIGURES_SHOWN, VALUES_SHOWN = 4, 12


def show(out: Console, result: Json) -> None:
    """The folds, the groups, the random split and what looks like leakage, where there are any."""
    metrics = result["metrics"]
    if "folds" in metrics:
        _folds(out, metrics["folds"])
    for column, values in metrics.get("per_group", {}).items():
        _values(out, column, values)
    if "random_split" in metrics:
        _flattering(out, metrics)
    if result.get("leakage", {}).get("suspected"):
        _leakage(out, result["leakage"]["found"])


def _folds(out: Console, folds: Json) -> None:
    names = list(folds["mean"])[:FIGURES_SHOWN]
    table = page.table("fold", "rows", "epochs", *(name.replace("_", " ") for name in names))
    for fold in folds["each"]:
        figures = [page.figure(fold["metrics"][name]) for name in names]
        table.add_row(str(fold["fold"]), f"{fold['rows']:,}", f"{fold['epochs']:,}", *figures)
    for told, name in (("mean", "mean"), ("± sd", "sd")):
        table.add_row(told, "", "", *(page.figure(folds[name][metric]) for metric in names))
    out.print(table)


def _values(out: Console, column: str, values: list[Json]) -> None:
    names = list(values[0]["metrics"])[:FIGURES_SHOWN] if values else []
    table = page.table(escape(column), "rows", *(name.replace("_", " ") for name in names))
    for each in values[:VALUES_SHOWN]:
        value = "others" if each["value"] is None else escape(str(each["value"]))
        figures = [page.figure_with_interval(each["metrics"][name]) for name in names[:1]]
        figures += [page.figure(each["metrics"][name]["value"]) for name in names[1:]]
        table.add_row(value, f"{each['rows']:,}", *figures)
    if len(values) > VALUES_SHOWN:
        table.add_row(f"… {len(values) - VALUES_SHOWN} more", "", *("" for _ in names))
    out.print(table)


def _flattering(out: Console, metrics: Json) -> None:
    name, honest = next(iter(metrics["validation"].items()))
    flattering = metrics["random_split"][name]
    said = f"{name.replace('_', ' ')} on a random split: {page.figure(flattering['value'])}"
    # The first metric of either kind is the better the higher it is.
    is_flattering = flattering["value"] > honest["value"]
    what = "which flatters: groups are torn there" if is_flattering else "where groups are torn, and no better for it"
    out.print(f"{said}, {what}. By group: {page.figure(honest['value'])}")


def _leakage(out: Console, found: Json) -> None:
    """The pairs; the rest has warnings of its own."""
    pairs = found.get("near_rows", {}).get("pairs", [])
    if pairs:
        told = ", ".join(f"{one}~{other}" for one, other in pairs)
        out.print(Text(f"nearly equal rows, training~held out: {told}", style="yellow"))
