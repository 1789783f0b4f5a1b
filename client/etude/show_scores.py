"""What was read of scores, for a person to read: how many pieces, of how many voices, and what cannot be used."""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.text import Text

from etude.datasets import Dataset
from etude.page import console, count

FAULTS_SHOWN, NAMED = 10, 6
# Told by a line of their own.
TOLD_OTHERWISE = ("pieces_unusable", "duplicates")

Json = dict[str, Any]


def dataset(made: Dataset, symbolic: Json) -> None:
    """A dataset of scores."""
    out = console()
    usable = "" if symbolic["usable"] == symbolic["pieces"] else f", {symbolic['usable']:,} of them usable"
    size = f"{symbolic['bars']:,} bars, {symbolic['notes']:,} notes, {symbolic['hours']:.2f} hours"
    out.print(escape(f"{made.reference}  {count(symbolic['pieces'], 'piece')}{usable}, {size}"))
    voices = {f"{number} {'voice' if number == '1' else 'voices'}": pieces for number, pieces in _voices(symbolic)}
    for name, found in (("pieces of", voices), ("in", symbolic["meters"]), ("key", symbolic["keys"])):
        if found:
            out.print(escape(f"  {name} {_counted(found)}"))
    ranges = ", ".join(f"{each['voice']} {each['lowest']}–{each['highest']}" for each in symbolic["ranges"] or ())
    if ranges:
        out.print(escape(f"  pitches {ranges}"))
    exact, transposed = symbolic["duplicates"]["exact"], symbolic["duplicates"]["transposed"]
    if exact or transposed:
        said = f"  {count(exact, 'piece')} there twice, {transposed:,} more in another key: they stay on one side"
        out.print(f"{said} of the split", style="yellow")
    for fault in symbolic["faults"][:FAULTS_SHOWN]:
        out.print(Text(f"  {fault['file']}: ", "red") + Text(str(fault["detail"])))
    if symbolic["faults_total"] > FAULTS_SHOWN:
        out.print(f"  … and {symbolic['faults_total'] - FAULTS_SHOWN:,} more")


def _voices(symbolic: Json) -> list[tuple[str, int]]:
    return sorted(symbolic["voices"].items(), key=lambda pair: -int(pair[1]))


def _counted(found: Mapping[str, int]) -> str:
    """`4/4 (210), 3/4 (31), …`: the commonest."""
    named = ", ".join(f"{name} ({number:,})" for name, number in [*found.items()][:NAMED])
    return named + (", …" if len(found) > NAMED else "")
