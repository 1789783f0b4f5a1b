"""The leader board of a search: its trials, the best first, while they run and afterwards."""

import time
from contextlib import suppress
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from etude import page
from etude.errors import EtudeError
from etude.jobs import Job

# Changes come faster than a person reads; each look is a question beside the poll.
LOOK_EVERY_S = 1.0
LINES_AT_MOST = 12
STYLES = {"running": "cyan", "failed": "red", "queued": "dim", "cancelled": "dim"}

Json = dict[str, Any]


class Leaders:
    """The trials of one search, as they were last told."""

    def __init__(self) -> None:
        self._board: Json = {}
        self._look_at = 0.0

    def look(self, seen: Job) -> None:
        """Ask for the trials, where it is a search that has any."""
        if seen.raw["action"] != "tune" or seen.has_ended:
            self._board = {}
        elif time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_EVERY_S
            # Only to look at: the job is followed by the poll, which tells what is wrong.
            with suppress(EtudeError):
                self._board = seen.trials()

    def __rich__(self) -> Table:
        return board(self._board) if self._board.get("data") else Table.grid()


def board(found: Json, *, at_most: int = LINES_AT_MOST) -> Table:
    """A line for each trial; of those that wait only how many there are."""
    shown = [trial for trial in found["data"] if trial["axes"] is not None]
    metric = found["data"][0]["metric"]
    table = page.table("#", metric.replace("_", " "), "epochs", "state", "settings")
    for trial in shown[:at_most]:
        table.add_row(
            f"{trial['number']} in folds" if trial.get("final") else str(trial["number"]),
            page.figure(trial["value"]),
            _epochs(trial),
            _state(trial),
            _settings(trial),
        )
    left = len(shown) - at_most
    if left > 0:
        table.add_row("", "", "", Text(f"… and {left:,} more", style="dim"), "")
    return table


def _epochs(trial: Json) -> str:
    progress = trial["progress"] or {}
    if progress.get("unit") == "epochs":
        return f"{progress['done']:,}/{progress['total']:,}"
    return "" if trial["epochs"] is None else f"{trial['epochs']:,}"


def _state(trial: Json) -> Text:
    if trial["stopped_by"] == "halving":
        return Text("given up", style="dim")
    said = trial["error"] or ("done" if trial["state"] == "succeeded" else trial["state"])
    return Text(said.replace("_", " "), style=STYLES.get(trial["state"], "green"))


def _settings(trial: Json) -> str:
    if trial.get("final") and not trial["axes"]:
        return "without the space"
    return escape(", ".join(f"{name.split('.', 1)[-1] if name.startswith('hidden.') else name}={_short(value)}"
                            for name, value in trial["axes"].items()))  # fmt: skip


def _short(value: Any) -> str:  # Any: JSON
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def show(out: Any, job: Job) -> None:  # Any: rich's console
    """The board of a search that has ended or goes on, and why it stopped before its last trial."""
    found = job.trials()
    if found.get("data"):
        out.print(board(found))
    if found.get("stopped"):
        out.print(f"  Stopped early: {escape(found['stopped']['detail'])}")
