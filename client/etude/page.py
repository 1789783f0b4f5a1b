"""How things are set for a person to read: the console, a table, a figure, a moment."""

from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

# Without a terminal a line is as long as it is: it may be read by a program.
WIDTH_OF_NO_TERMINAL = 160


def console(*, is_error: bool = False) -> Console:
    made = Console(stderr=is_error, highlight=False)
    return made if made.is_terminal else Console(stderr=is_error, highlight=False, width=WIDTH_OF_NO_TERMINAL)


def say(text: str) -> None:
    console().print(escape(text))


def table(*columns: str) -> Table:
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, name in enumerate(columns):
        made.add_column(name, no_wrap=place == 0)
    return made


def figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def short(value: float | None, places: int) -> str:
    """A number with as many places as mean something; a dash for none."""
    return "–" if value is None else f"{value:.{places}f}"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def ago(moment: str) -> str:
    # The service's clock and this one may differ; a sign of life from the future is one from now.
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def when(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
