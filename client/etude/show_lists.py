"""What somebody may like, for a person to read: one list, those of a scoring, what is like an item; and erasures."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from etude import cautions, page, show_scored
from etude.jobs import Job

LISTS_SHOWN, ITEMS_SHOWN = 5, 5

Json = dict[str, Any]


def recommended(said: Json, *, user: str | None) -> None:
    """One list, and on what it is based."""
    out = page.console()
    for line in _known(said, user):
        out.print(Text(line, style="yellow"))
    if not said["data"]:
        return out.print("Nothing may stand in this list: the filters leave nothing, or all of it was played.")
    table = page.table("rank", "item", "score", "because of")
    for rank, each in enumerate(said["data"], start=1):
        because = (each["reason"] or {}).get("because_of", "–")
        table.add_row(str(rank), escape(each["item"]), f"{each['score']:.4g}", escape(because))
    return page.print_table(table, spare=("score",))


def _known(said: Json, user: str | None) -> Iterator[str]:
    if not said["is_known"]:
        yield f"{said['dataset']} has no listener {user}."
    if said["unknown_items"]:
        yield f"{said['model']} does not know: {', '.join(said['unknown_items'])}"
    if said["basis"] == "popularity" and said["data"]:
        yield "Nothing is known to go by: this is what most have played."


def similar(said: Json) -> None:
    """The items most like one."""
    if not said["data"]:
        return page.say(f"Nothing is like {said['item']}.")
    table = page.table("rank", "item", "alike")
    for rank, each in enumerate(said["data"], start=1):
        table.add_row(str(rank), escape(each["item"]), f"{each['score']:.4g}")
    return page.print_table(table)


def scored(out: Console, shown: Job, *, is_saving: bool) -> None:
    """A scoring of listeners: the first lists, how many are short, and where all of them are."""
    result, lists = shown.result, shown.result["lists"]
    # Without it there are no pages to read from.
    if "jsonl" in shown.raw["params"].get("formats", ("jsonl",)):
        rows(list(islice(shown.predictions(), LISTS_SHOWN)))
        if result["rows"] > LISTS_SHOWN:
            out.print(f"  … and {result['rows'] - LISTS_SHOWN:,} more")
    show_scored.failed(out, shown)
    cautions.show(out, result.get("warnings", ()))
    size = f"{page.count(result['rows'], 'list')} of {page.count(lists['k'], 'place')}"
    out.print(escape(f"{size}, from {page.count(lists['items'], 'item')}{''.join(_odd(lists))}"))
    if not is_saving:
        out.print(f"  etude predictions {shown.id} -o lists.parquet", style="dim")


def _odd(lists: Json) -> Iterator[str]:
    told = {"empty": "empty", "short": "shorter", "by_popularity": "of what most have played"}
    yield from (f"; {lists[name]:,} {said}" for name, said in told.items() if lists[name])


def rows(found: Sequence[Json]) -> None:
    """Lists as rows of a scoring, each with its first items."""
    if not found:
        return page.say("No rows.")
    table = page.table("listener", "items", "because of", "by")
    for row in found:
        table.add_row(*map(escape, (row["key"], _few(row["items"]), _because(row), row["basis"])))
    return page.print_table(table, spare=("by", "because of"))


def _few(items: Sequence[str]) -> str:
    return ", ".join(items[:ITEMS_SHOWN]) + (", …" if len(items) > ITEMS_SHOWN else "") or "–"


def _because(row: Json) -> str:
    """What speaks for the items that are shown, each once."""
    named = dict.fromkeys(item for item in row.get("because", ())[:ITEMS_SHOWN] if item is not None)
    return ", ".join(named) or "–"


def erased(out: Console, shown: Job) -> None:
    """Whose events are gone from where, and what has learned from them."""
    result = shown.result
    if "erasure" in result:
        return out.print(f"It has carried out {result['erasure']}: etude erasures receipt {result['erasure']}")
    if not result["events"]:
        out.print("Nobody of that name has an event: nothing was erased.")
    else:
        out.print(escape(f"{page.count(result['events'], 'event')} erased from {', '.join(result['datasets'])}."))
    for line in _uses(result):
        out.print(escape(f"  {line}"))
    for each in result["not_retrained"]:
        out.print(Text(f"  {each['model']} is not trained anew: ", "red") + Text(str(each["reason"]["detail"])))


def _uses(result: Json) -> Iterator[str]:
    told = {
        "models": "models that have learned from them, and stay",
        "predictions": "scorings with lists for them, which stay",
        "under_way": "jobs that read them at this moment",
        "pending": "versions that are not read yet, and may hold more: ask again once they are",
        "retrained": "trainings that were submitted",
    }
    yield from (f"{said}: {', '.join(result[name])}" for name, said in told.items() if result[name])
