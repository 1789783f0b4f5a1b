"""Why a model of tables answers as it does: how much it needs each column, and what spoke for a row."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from etude import page

COLUMNS_SHOWN, NAMED = 10, 3
# More signs than this would push the other columns off a terminal.
LONGEST = 60

# What stands among the metrics and is none.
APART = ("importance",)

Json = dict[str, Any]


def importance(out: Console, found: Sequence[Json]) -> None:
    """The columns without which the metric falls most, as bars."""
    most = max((each["drop"] for each in found), default=0.0)
    table = page.table("needs the column", "", "costs", "±")
    for each in found[:COLUMNS_SHOWN]:
        length = page.bar(each["drop"] / most) if most > 0 else ""
        table.add_row(Text(each["column"]), length, page.short(each["drop"], 3), page.short(each["sd"], 3))
    if len(found) > COLUMNS_SHOWN:
        table.add_row(f"… {len(found) - COLUMNS_SHOWN} more", "", "", "")
    out.print(table)


def why(explanation: Json | None) -> str:
    """`tempo +0.31, key −0.12`: what spoke most for the answer, and against it; of several labels the likeliest."""
    said = _first(explanation)
    return ", ".join(f"{each['column']} {_signed(each['attribution'])}" for each in said["attributions"][:NAMED])


def otherwise(explanation: Json | None) -> str:
    """`pop, if tempo were 110`: what would have to be for another answer."""
    found = (explanation or {}).get("counterfactual")
    if found is None:
        return ""
    changes = " and ".join(f"{each['column']} were {each['to']:g}" for each in found["changes"])
    return f"{_predicted(found['prediction'])}, if {changes}"[:LONGEST]


def near(explanation: Json | None) -> str:
    """`s12 (rock), s7 (rock)`: the rows of the training that are most like it."""
    found = (explanation or {}).get("nearest", [])
    return ", ".join(f"{each['key']} ({_predicted(each['label'])})" for each in found[:NAMED])


# What a table of predictions has for an explanation, where a row has anything to say there.
COLUMNS = {"why": why, "otherwise": otherwise, "like": near}


def columns(rows: Sequence[Json]) -> dict[str, list[str]]:
    """The explanations of rows as columns of a table."""
    told = {name: [tell(row["explanation"]) for row in rows] for name, tell in COLUMNS.items()}
    return {name: cells for name, cells in told.items() if any(cells)}


def _first(explanation: Json | None) -> Json:
    if explanation is None:
        return {"attributions": []}
    first: Json = explanation["each"][0] if "each" in explanation else explanation
    return first


def _signed(value: float) -> str:
    return page.short(abs(value), 3) if value == 0 else f"{'+' if value > 0 else '−'}{page.short(abs(value), 3)}"


def _predicted(said: Any) -> str:  # Any: a label, a number, or several of them
    if isinstance(said, float):
        return page.figure(said)
    if isinstance(said, list):
        return ", ".join(map(str, said))
    if isinstance(said, dict):
        return ", ".join(f"{name} {_predicted(value)}" for name, value in said.items())
    return str(said)
