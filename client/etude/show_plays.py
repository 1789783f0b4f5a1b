"""What was read of plays, for a person to read: how much, how it is spread, and what was left out."""

from collections.abc import Iterator
from typing import Any

from rich.markup import escape
from rich.text import Text

from etude import page
from etude.datasets import Dataset

FAULTS_SHOWN, NAMED = 10, 6
# Told by lines of their own.
TOLD_OTHERWISE = ("rows_left_out", "duplicates", "bots")
SPREADS = {"events_per_user": "events of a user", "listeners_per_item": "listeners of an item"}

Json = dict[str, Any]


def dataset(made: Dataset, plays: Json) -> None:
    """A dataset of plays."""
    out = page.console()
    size = f"{page.count(plays['events'], 'event')} of {page.count(plays['users'], 'user')}"
    met = f"{100 * plays['density']:.2g} % of all pairs met"
    out.print(escape(f"{made.reference}  {size} and {page.count(plays['items'], 'item')}, {met}"))
    for line in (*_origin(made, plays), *_kinds(plays)):
        out.print(escape(f"  {line}"))
    _spreads(plays)
    _popularity(plays)
    for line in _doubtful(plays):
        out.print(escape(f"  {line}"), style="yellow")
    _left_out(plays)


def _origin(made: Dataset, plays: Json) -> Iterator[str]:
    """From which columns it was read, and of which time it is."""
    roles = made.profile["roles"]
    named = ", ".join(name if name == role else f"{name} as {role}" for role, name in roles.items() if name)
    yield f"columns: {named}" + (" (users by pseudonyms)" if plays["pseudonyms"] else "")
    if plays["time"]:
        yield f"from {plays['time']['from']} to {plays['time']['to']}"
    columns = ", ".join(f"{each['name']} ({each['filled']:,})" for each in plays["item_columns"])
    if columns:
        yield f"of the items: {columns}"
    yield f"a training divides it by {plays['split']}"


def _kinds(plays: Json) -> Iterator[str]:
    if plays["contexts"]:
        yield f"contexts: {_counted(plays['contexts'])}"
    if plays["top_items"]:
        yield f"most played: {_counted(dict(plays['top_items']))}"


def _counted(found: dict[str, int]) -> str:
    named = ", ".join(f"{name} ({number:,})" for name, number in [*found.items()][:NAMED])
    return named + (", …" if len(found) > NAMED else "")


def _spreads(plays: Json) -> None:
    table = page.table("", "least", "median", "mean", "p90", "most")
    for name, said in SPREADS.items():
        if plays[name]:
            cells = (plays[name][each] for each in ("min", "median", "mean", "p90", "max"))
            table.add_row(said, *(f"{cell:,.4g}" if cell < 10_000 else f"{cell:,.0f}" for cell in cells))
    if table.row_count:
        page.print_table(table)


def _popularity(plays: Json) -> None:
    """How much of all events each tenth of the items has."""
    if not plays["popularity"]:
        return
    table = page.table("tenth of the items", "of all events", "")
    for place, share in enumerate(plays["popularity"], start=1):
        said = f"{place}, played most" if place == 1 else str(place)
        table.add_row(said, f"{100 * share:.1f} %", page.bar(share / max(plays["popularity"])))
    page.print_table(table)


def _doubtful(plays: Json) -> Iterator[str]:
    """What a training leaves out, or can make little of."""
    bots, cold = plays["bots"], plays["cold_items"]
    if bots["users"]:
        named = ", ".join(bots["named"][:NAMED])
        yield f"{page.count(bots['users'], 'user')} with more than anybody hears, {bots['events']:,} events: {named}"
    if plays["cold_users"]:
        yield f"{page.count(plays['cold_users'], 'user')} with fewer than 5 items"
    if cold["unplayed"] or cold["once"]:
        yield f"items that nobody has played: {cold['unplayed']:,}; that were played once: {cold['once']:,}"
    if plays["duplicates"]:
        yield f"{page.count(plays['duplicates'], 'event')} repeated another exactly, and counted once"


def _left_out(plays: Json) -> None:
    """The rows that could not be used, by reason, and the first of them."""
    if not plays["left_out"]:
        return
    out = page.console()
    counts = ", ".join(f"{number:,} {code}" for code, number in plays["left_out"].items())
    out.print(Text(f"  rows left out: {counts}", style="yellow"))
    for fault in plays["faults"][:FAULTS_SHOWN]:
        place = ", ".join(f"{name} {fault[name]}" for name in ("file", "row", "column") if fault.get(name) is not None)
        out.print(Text(f"  {place.removeprefix('file ')}: ", "red") + Text(str(fault["message"])))
    hidden = plays["faults_total"] - len(plays["faults"][:FAULTS_SHOWN])
    if hidden > 0:
        out.print(f"  … and {hidden:,} more")
