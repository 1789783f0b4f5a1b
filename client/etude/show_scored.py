"""What a scoring made, for a person to read: how many rows, of which labels, why some failed, and where the rest is."""

from itertools import islice
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from etude import page, show_drift, ways
from etude.jobs import Job

CLASSES_SHOWN, FAILED_SHOWN = 30, 5
SHOWN_SIGNS = 60
KEYS_SHOWN = 10

Json = dict[str, Any]


def scored(out: Console, shown: Job, *, is_saving: bool) -> None:
    """A scoring; `is_saving`: its predictions are saved already, and nothing is said of how to."""
    result = shown.result
    errors = f", {result['errors']:,} could not be scored" if result["errors"] else ""
    of_all = f" of {result['rows_total']:,}" if ways.is_partial(shown) else ""
    out.print(f"{page.count(result['rows'], 'row')}{of_all}{errors}")
    failed(out, shown)
    if result.get("classes"):
        table = page.table("predicted", "rows")
        for name, count in sorted(result["classes"].items(), key=lambda pair: -pair[1])[:CLASSES_SHOWN]:
            table.add_row(Text(str(name)), f"{count:,}")
        out.print(table)
    if "abstained" in result:
        out.print(f"{page.count(result['abstained'], 'row')} given no label: it is not sure enough")
    reasons(out, shown)
    show_drift.drift(out, result)
    if not is_saving:
        out.print(f"  etude predictions {shown.id} -o predictions.parquet", style="dim")
    if ways.is_partial(shown):
        for command in ways.rest(shown):
            out.print(escape(f"  {command}"), style="dim")


def failed(out: Console, shown: Job) -> None:
    """Why rows failed: the first of them, and the command that tells of all."""
    number = shown.result["errors"]
    if not number:
        return
    for row in islice(shown.predictions(errors=True), FAILED_SHOWN):
        column = f"{row['column']}: " if row.get("column") else ""
        out.print(Text(f"  {row['key']}: ", "red") + Text(f"{column}{row['reason']}"))
    if number > FAILED_SHOWN:
        out.print(f"  … and {number - FAILED_SHOWN:,} more")
    out.print(f"  etude predictions {shown.id} --errors", style="dim")


def reasons(out: Console, shown: Job, *, is_saving: bool = False) -> None:
    """How many tracks have a reason, how exact these are, and how to fetch them."""
    explained = shown.result.get("explained")
    if explained:
        worst = page.short(explained["largest_completeness_error"], 4)
        out.print(f"{page.count(explained['tracks'], 'track')} explained, completeness error at most {worst}")
    if not is_saving and (explained or shown.result.get("files")):
        out.print(f"  etude files {shown.id} -o folder", style="dim")


def diff(found: Json) -> None:
    """How many rows two scorings predict alike, and those that they do not."""
    counts = {name: found[name] for name in ("same", "changed", "only_here", "only_there")}
    page.say(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()))
    if found["largest_move"] is not None:
        page.say(f"the most that a probability has moved: {page.short(found['largest_move'], 4)}")
    if found["data"]:
        table = page.table("key", "here", "there")
        for row in found["data"]:
            table.add_row(Text(str(row["key"])), Text(_predicted(row["here"])), Text(_predicted(row["there"])))
        page.print_table(table)
    if found["changed"] > len(found["data"]):
        page.say(f"… and {found['changed'] - len(found['data']):,} more: --limit says how many are shown.")
    for name in ("only_here", "only_there"):
        keys = [str(key) for key in found[f"{name}_keys"][:KEYS_SHOWN]]
        if keys:
            rest = found[name] - len(keys)
            page.say(f"{name.replace('_', ' ')}: {', '.join(keys)}" + (f" … and {rest:,} more" if rest > 0 else ""))


def _predicted(said: Json) -> str:
    """The prediction, with how likely it was; of an analysis what differs."""
    if "prediction" not in said:
        return ", ".join(f"{name} {value}" for name, value in said.items())[:SHOWN_SIGNS]
    likely = said.get("probabilities", {}).get(str(said["prediction"]))
    return str(said["prediction"]) + ("" if likely is None else f"  {page.short(likely, 3)}")
