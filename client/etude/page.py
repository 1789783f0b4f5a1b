"""How things are set for a person to read: the console, a table, a figure, a moment."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Column, Table

# Without a terminal a line is as long as it is: it may be read by a program.
WIDTH_OF_NO_TERMINAL = 160
# Wider than any table.
UNBOUNDED = 10_000
BAR_WIDTH = 24
EIGHTHS = " ▏▎▍▌▋▊▉"
# What is copied from the table into the next command.
IDS = ("id", "job")


def console(*, is_error: bool = False) -> Console:
    made = Console(stderr=is_error, highlight=False)
    return made if made.is_terminal else Console(stderr=is_error, highlight=False, width=WIDTH_OF_NO_TERMINAL)


def say(text: str) -> None:
    console().print(escape(text))


def table(*columns: str) -> Table:
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, name in enumerate(columns):
        made.add_column(name, no_wrap=place == 0 or name in IDS)
    return made


def print_table(made: Table, *, spare: Sequence[str] = ()) -> None:
    """Print it; on a terminal that is too narrow without the `spare` columns, the first of them first."""
    out = console()
    for name in spare if out.is_terminal else ():
        if Measurement.get(out, out.options.update(width=UNBOUNDED), made).maximum > out.width:
            made = _without(made, name)
    for column in made.columns:
        _keep_whole(column, out.width)
    out.print(made)


def _without(made: Table, name: str) -> Table:
    kept = [column for column in made.columns if column.header != name]
    fresh = table(*(str(column.header) for column in kept))
    for cells in zip(*(column.cells for column in kept), strict=True):
        fresh.add_row(*cells)
    return fresh


def _keep_whole(column: Column, width: int) -> None:
    """Ids are never cut; a name that is longer than half the line goes on in the next one."""
    longest = max((cell_len(str(cell)) for cell in column.cells), default=0)
    if column.header in IDS:
        column.min_width = longest
    elif longest > width // 2:
        column.no_wrap, column.overflow = False, "fold"


def figure(value: float | None) -> str:
    if value is None:
        return "–"
    return short(value, 3) if abs(value) < 1000 else f"{value:,.0f}"


def short(value: float | None, places: int) -> str:
    """A number with as many places as mean something; a dash for none."""
    if value is None:
        return "–"
    # Rounded first: what is rounded to nothing has no sign.
    return f"{round(value, places) + 0.0:.{places}f}"


def with_interval(said: Mapping[str, Any] | None, places: int) -> str:
    """`0.213 (0.201–0.225)`: a figure and what holds 95 % of its like."""
    if not said or said["value"] is None:
        return "–"
    return f"{short(said['value'], places)}{interval(said.get('interval'), places)}"


def figure_with_interval(said: Mapping[str, Any]) -> str:
    """The same of a figure of any size."""
    ends = said.get("interval")
    return figure(said.get("value")) + (f" ({figure(ends[0])}–{figure(ends[1])})" if ends else "")


def interval(ends: Sequence[float | None] | None, places: int) -> str:
    """` (0.201–0.225)`, or nothing."""
    low, high = ends or (None, None)
    return "" if low is None or high is None else f" ({short(low, places)}–{short(high, places)})"


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """A bar of so much of its width, in eighths of a sign."""
    eighths = round(8 * width * min(max(share, 0.0), 1.0))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (EIGHTHS[rest] if rest else "")


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def units(number: int, many: str) -> str:
    """The same of a unit as the service names it: `1 track` of `tracks`."""
    return count(number, many.removesuffix("s"), many)


def since(moment: str) -> str:
    """How long ago: `4 s`, `3 min`."""
    # The service's clock and this one may differ; a sign of life from the future is one from now.
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def ago(moment: str) -> str:
    return f"{since(moment)} ago"


def when(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
