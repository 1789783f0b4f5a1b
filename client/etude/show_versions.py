"""What was done with a version as it stands, for a person to read: exported, trained once more."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from etude import page
from etude.jobs import Job

# Of what differs so much is printed; --json has the rest.
SHOWN = 10

Json = dict[str, Any]


def exported(out: Console, shown: Job, *, is_saving: bool) -> None:
    """Each format, and how near it comes to what the service answers."""
    result = shown.result
    made = page.table("format", "bytes", "largest difference", "rows compared")
    for name, said in result["formats"].items():
        checked = said["checked"]
        made.add_row(
            name, f"{said['size_bytes']:,}", f"{checked['largest_difference']:.1e}", f"{checked['rows']:,}"
        )  # fmt: skip
    page.print_table(made)
    out.print(escape(f"{result['model']} in {page.count(len(result['formats']), 'format')}"))
    if not is_saving:
        out.print(f"  etude files {shown.id} -o folder", style="dim")


def reproduced(out: Console, shown: Job) -> None:
    """Whether the same came out, file by file, and what was otherwise."""
    result = shown.result
    made = page.table("file", "the same", "numbers that differ", "by at most")
    for name, said in result["files"].items():
        made.add_row(escape(name), "yes" if said["identical"] else "no", *_numbers(said))
    page.print_table(made)
    metrics = result["metrics"]
    out.print(f"{metrics['different']:,} of {metrics['compared']:,} figures differ")
    for each in metrics["largest"][:SHOWN]:
        out.print(escape(f"  {each['name']}: {each['then']} then, {each['now']} now"))
    if result["differences"]:
        out.print("what was otherwise:")
    for each in result["differences"][:SHOWN]:
        out.print(escape(f"  {each['what']}: {each['then']} then, {each['now']} now"))
    is_same = result["identical"]
    said = f"{result['model']} came out {'the same, byte for byte' if is_same else 'otherwise'}"
    out.print(escape(said), style="green" if is_same else "yellow")


def _numbers(said: Json) -> tuple[str, str]:
    if "different_numbers" not in said:
        return ("another network", "") if "is_another_network" in said else ("", "")
    return f"{said['different_numbers']:,} of {said['numbers']:,}", f"{said['largest_difference']:.3g}"
