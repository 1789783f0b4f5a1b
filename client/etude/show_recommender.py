"""Models that recommend, for a person to read: which was kept and why, what it finds, and what its lists are like."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape

from etude import page
from etude.jobs import Job

# Beside what a version comes to on a part of the plays.
APART = ("lists", "new_items", "champion")
OWNERS_SHOWN = 5
# What each figure of lists is, beside its number.
FIGURES = {
    "coverage": "of the items that anybody has played stand in a list",
    "gini": "0: all are recommended as often; 1: always the same",
    "novelty_bits": "bits: how rarely heard what is recommended is",
    "diversity": "0: items of a list are alike; 1: nothing in common",
}

Json = dict[str, Any]


def trained(out: Console, shown: Job) -> None:
    """What a training compared, and its card."""
    result = shown.result
    _compared(out, result["compared"], result["chosen"])
    _card(out, result, result["chosen"])


def version(out: Console, said: Json) -> None:
    """What was chosen for a version, and its card."""
    chosen = said["lineage"]["chosen"]
    value = f"{chosen['metric']} {page.short(chosen['value'], 4)} on validation"
    out.print(escape(f"{_name(chosen['model'])} with {_settings(chosen['settings']) or 'no settings'}: {value}"))
    _card(out, said, chosen)


def _card(out: Console, said: Json, chosen: Json) -> None:
    metrics = said["metrics"]
    if "test" in metrics:
        _judged("the test", chosen["model"], metrics["test"], said["baselines"].get("test", {}))
    if "lists" in metrics:
        _lists(out, metrics["lists"])
    for line in (*_new_items(metrics.get("new_items")), *_champion(metrics.get("champion"))):
        out.print(escape(line))


def kept(shown: Job) -> str:
    """Which model a training has kept: `ease, the best of 27 tries`."""
    result = shown.result
    return f"{_name(result['chosen']['model'])}, the best of {page.count(len(result['compared']), 'try', 'tries')}"


def evaluation(out: Console, shown: Job) -> None:
    """The same of a version on plays that came later."""
    result = shown.result
    _judged("the evaluation", "model", result["metrics"]["evaluation"], {})
    _lists(out, result["metrics"]["lists"])
    out.print(escape(f"{result['model']} on {page.count(result['listeners'], 'listener')}"))


def _name(method: str) -> str:
    return method.replace("_", " ")


def _compared(out: Console, tried: list[Json], chosen: Json) -> None:
    """Of each model the best that it came to on validation, as bars; the one that was kept has a sign."""
    best: dict[str, Json] = {}
    for each in tried:
        if each["model"] not in best or each["value"] > best[each["model"]]["value"]:
            best[each["model"]] = each
    most = max((each["value"] for each in best.values()), default=0.0)
    table = page.table("on validation", chosen["metric"], "", "with")
    for each in sorted(best.values(), key=lambda each: -each["value"]):
        is_kept = each["model"] == chosen["model"]
        bar = page.bar(each["value"] / most if most else 0.0)
        name = f"{_name(each['model'])}{' (kept)' if is_kept else ''}"
        table.add_row(name, page.short(each["value"], 4), bar, escape(_settings(each["settings"])))
    page.print_table(table, spare=("with",))


def _settings(settings: Json) -> str:
    """What was chosen of a model: the numbers and names of its settings."""
    said = {name: value for name, value in settings.items() if name not in ("seed", "items_at_most")}
    plain = (f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in said.items()
             if isinstance(value, str | int | float))  # fmt: skip
    return ", ".join(plain)


def _judged(part: str, name: str, metrics: Json, others: Json) -> None:
    """Each metric with its interval, the other models beside it, and how sure the differences to them are."""
    figures = {metric: said for metric, said in metrics.items() if isinstance(said, dict) and "value" in said}
    users = next((said["users"] for said in figures.values() if said.get("users") is not None), 0)
    table = page.table(f"on {page.count(users, 'listener')} of {part}", _name(name), *map(_name, others))
    for metric, said in figures.items():
        cells = [page.short(other.get(metric, {}).get("value"), 3) for other in others.values()]
        table.add_row(metric, page.with_interval(said, 3), *cells)
    compared = {other: said["compared"] for other, said in others.items() if said.get("compared")}
    if compared:
        metric = next(iter(compared.values()))["metric"]
        table.add_row(f"{metric} is more by", "", *(_difference(compared.get(other)) for other in others))
        table.add_row("by chance (p)", "", *(_chance(compared.get(other)) for other in others))
    page.print_table(table)


def _difference(said: Json | None) -> str:
    return "–" if said is None else f"{page.short(said['difference'], 3)}{page.interval(said['interval'], 3)}"


def _chance(said: Json | None) -> str:
    if said is None or said["p"] is None:
        return "–"
    return f"{said['p']:.2g}" if said["p"] >= 0.001 else "under 0.001"


def _lists(out: Console, lists: Json) -> None:
    """What the first places of the lists are like, whatever they hit."""
    table = page.table(f"the first {lists['places']} places", "", "")
    for name, told in FIGURES.items():
        table.add_row(name.removesuffix("_bits"), page.figure(lists[name]), told)
    if calibration := lists.get("calibration"):
        told = f"nats from the {calibration['column']} of what was played: 0 is the same mixture"
        table.add_row("calibration", page.figure(calibration["divergence"]), escape(told))
    page.print_table(table)
    _bias(lists["popularity"])
    for line in _shares(lists.get("shares")):
        out.print(escape(line))


def _bias(popularity: Json) -> None:
    """Whether what is recommended is what everybody plays anyway."""
    recommended, played = popularity["recommended"], popularity["played"]
    if not recommended or not played:
        return
    most = max(*recommended, *played)
    table = page.table("tenth of the items", "recommended", "", "played", "")
    for place, shares in enumerate(zip(recommended, played, strict=True), start=1):
        cells = (cell for share in shares for cell in (f"{100 * share:.1f} %", page.bar(share / most, 16)))
        table.add_row(f"{place}, played most" if place == 1 else str(place), *cells)
    page.print_table(table)


def _shares(shares: Json | None) -> Iterator[str]:
    if not shares or shares["half"] is None:
        return
    largest = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares["largest"][:OWNERS_SHOWN])
    yield f"by {shares['column']}: {largest}; half of all places go to {shares['half']:,} of {shares['owners']:,}"


def _new_items(said: Json | None) -> Iterator[str]:
    if said is None:
        return
    chance = "" if said["by_chance"] is None else f", by chance {page.short(said['by_chance'], 3)}"
    found = f"recall@{said['k']} {page.short(said['recall'], 3)}{chance}"
    yield f"new items, by content alone: {found} ({said['items']:,} held out, {page.count(said['users'], 'listener')})"


def _champion(said: Json | None) -> Iterator[str]:
    if said is None:
        return
    what = f"the champion, version {said['version']}, comes to {said['metric']} {page.short(said['value'], 3)} here"
    yield f"{what}: this one is more by {_difference(said)}, by chance (p) {_chance(said)}"
