"""How far the rows of a scoring are from those before, for a person to read."""

from typing import Any

from rich.console import Console
from rich.text import Text

from etude import cautions, page

SINCE = {"training": "since its training", "last_run": "since the last run"}

Json = dict[str, Any]


def drift(out: Console, result: Json) -> None:
    """The warnings, and the columns that have drifted; one line when none has."""
    cautions.show(out, result.get("warnings", ()))
    said = result.get("drift")
    if said is None:
        return
    table = page.table("drifted", "PSI", "", "most of all", "before", "now")
    compared = {since: said[name] for name, since in SINCE.items() if said[name] is not None}
    for since, told in compared.items():
        for side in ("inputs", "outputs"):
            for column in told[side]["most"][: told[side]["drifted"]]:
                move = column["largest_move"]
                shares = (f"{100 * move[when]:.0f} %" for when in ("before", "now"))
                table.add_row(Text(column["name"]), page.short(column["psi"], 2), since, Text(_bin(move)), *shares)
    if table.row_count:
        return out.print(table)
    is_seen = [since for since, told in compared.items() if any(side["columns"] for side in _sides(told))]
    return out.print(f"no drift {' nor '.join(is_seen)}", style="dim") if is_seen else None


def _sides(told: Json) -> list[Json]:
    return [told["inputs"], told["outputs"]]


def _bin(move: Json) -> str:
    """What lies in the bin: a word, numbers between two, or cells that are missing."""
    if "word" in move:
        return "another word, or none" if move["word"] is None else str(move["word"])
    if "missing" in move:
        return "missing"
    low, high = (None if move[end] is None else f"{move[end]:g}" for end in ("from", "to"))
    if low is None:
        return "any number" if high is None else f"under {high}"
    return f"from {low}" if high is None else f"{low} to {high}"
