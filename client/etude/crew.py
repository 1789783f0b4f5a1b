"""Who is at a scoring: a line for each worker, beneath the bar."""

import time
from contextlib import suppress
from typing import Any

from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table

from etude import page
from etude.errors import EtudeError
from etude.jobs import Job

# Changes come faster than a person reads; each look is a question beside the poll.
LOOK_EVERY_S = 1.0
# With the bar they stay on the smallest terminal.
LINES_AT_MOST = 16
# Of what follows a name: how many, how fast, where, what failed.
JUSTIFIED: tuple[JustifyMethod, ...] = ("right", "right", "left", "left")

Json = dict[str, Any]


class Crew:
    """The workers at one job, as they were last told."""

    def __init__(self) -> None:
        self._workers: list[Json] = []
        self._unit, self._look_at = "rows", 0.0

    def look(self, seen: Job) -> None:
        """Ask who is at it, where there is more than one chunk to be at."""
        if not _has_chunks(seen):
            self._workers = []
        elif time.monotonic() >= self._look_at:
            self._look_at, self._unit = time.monotonic() + LOOK_EVERY_S, str(seen.progress["unit"])
            # Only to look at: the job is followed by the poll, which tells what is wrong.
            with suppress(EtudeError):
                self._workers = seen.workers()

    def __rich__(self) -> Table:
        return lines(self._workers, self._unit)


def _has_chunks(job: Job) -> bool:
    return not job.has_ended and (job.progress.get("metrics") or {}).get("chunks_total", 0) > 1


def lines(workers: list[Json], unit: str) -> Table:
    """A line for each worker; those who are at something first."""
    made = Table.grid(padding=(0, 2, 0, 0))
    # Where all do not fit, only what may be wrapped is made narrower.
    made.add_column(overflow="ellipsis")
    for justify in JUSTIFIED:
        made.add_column(no_wrap=True, justify=justify)
    ordered = sorted(workers, key=lambda each: each["at"] is None)
    for each in ordered[:LINES_AT_MOST]:
        failed = f"[red]{each['failed']:,} failed[/]" if each["failed"] else ""
        done = page.units(each["rows"], unit)
        made.add_row(escape(each["worker"]), done, _rate(each), _place(each["at"], unit), failed)
    if len(workers) > LINES_AT_MOST:
        made.add_row(f"… and {len(workers) - LINES_AT_MOST:,} more")
    return made


def _rate(worker: Json) -> str:
    return f"{worker['rows'] / worker['took_s']:,.0f}/s" if worker["took_s"] else ""


def _place(at: Json | None, unit: str) -> str:
    """The first row that it is at, and for how long it has been."""
    one = unit.removesuffix("s")
    if at is None:
        return f"[dim]at no {one} now[/]"
    return f"at {one} {at['first']:,}, {page.since(at['since'])}"
