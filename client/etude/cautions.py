"""Warnings, for a person to read."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from etude import wording

ALIKE_SHOWN = 3

Json = dict[str, Any]


def show(out: Console, warnings: Sequence[Json]) -> None:
    """Of each sort the first few: forty columns that are left out are one fact."""
    seen = Counter(warning["code"] for warning in warnings)
    shown: Counter[str] = Counter()
    for warning in warnings:
        code = warning["code"]
        shown[code] += 1
        if shown[code] <= ALIKE_SHOWN:
            out.print(Text("warning: ", style="yellow") + Text(wording.in_options(str(warning["detail"]))))
        if shown[code] == ALIKE_SHOWN < seen[code]:
            out.print(f"  … and {seen[code] - ALIKE_SHOWN:,} more of this sort", style="yellow")
