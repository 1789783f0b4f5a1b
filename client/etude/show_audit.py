"""What an audit has found, for a person to read: the suspects, how often labels are wrong, odd tags."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from etude import page
from etude.jobs import Job

LINES_AT_MOST, PAIRS_AT_MOST = 20, 5

Json = dict[str, Any]


def audit(out: Console, shown: Job) -> None:
    """The first suspects, and what is to be done with them."""
    result = shown.result
    rate = page.figure_with_interval(result["error_rate"])
    suspects, rows = page.count(result["suspects_total"], "suspect"), page.count(result["rows"], "row")
    out.print(escape(f"{result['dataset']['reference']}: {suspects} of {rows}; share of wrong labels {rate}"))
    _suspects(result["suspects"])
    for pair in result["confused"][:PAIRS_AT_MOST]:
        out.print(escape(f"about {pair['rows']:.1f} rows that are labelled {pair['given']} are {pair['true']}"))
    _tags(out, result["tags"])
    out.print(f"  etude audit {shown.id} --csv suspects.csv", style="dim")
    out.print(f"  etude audit-apply {shown.id} suspects.csv", style="dim")


def corrected(dataset: Json) -> None:
    """Where a corrected version comes from."""
    said = dataset["profile"]["corrected"]
    changed = page.count(said["labels_changed"], "label")
    page.say(f"{dataset['reference']} is {said['dataset']} with {changed} corrected")


def _suspects(found: list[Json]) -> None:
    if not found:
        return
    named = "file" if "file" in found[0] else "key"
    table = page.table("row", named, "label", "rather", "sure of it", "sure of the label")
    for each in found[:LINES_AT_MOST]:
        sure = (page.short(each[name], 2) for name in ("confidence", "self_confidence"))
        table.add_row(
            str(each["row"]), escape(each[named] or ""), _labels(each["given"]), _labels(each["suggested"]), *sure
        )
    page.print_table(table)
    if len(found) > LINES_AT_MOST:
        page.say(f"… and {len(found) - LINES_AT_MOST:,} more.")


def _labels(said: str | list[str]) -> str:
    return escape(said if isinstance(said, str) else ", ".join(said))


def _tags(out: Console, tags: Json) -> None:
    for pair in tags["variants"][:PAIRS_AT_MOST]:
        out.print(escape(f"{' and '.join(pair['labels'])} may be one label: they differ in {pair['differ_in']}"))
    for pair in tags.get("synonyms", ())[:PAIRS_AT_MOST]:
        out.print(escape(f"{' and '.join(pair['labels'])} may be one label: {pair['both']:,} rows have both"))
    rare = ", ".join(each["label"] for each in tags["rare"][:PAIRS_AT_MOST])
    if rare:
        out.print(escape(f"rare: {rare}"))
