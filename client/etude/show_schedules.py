"""Schedules for a person to read: when each is due, and what became of its moments."""

import shlex
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.text import Text

from etude import page, show
from etude.errors import EtudeError
from etude.schedules import Schedule

STATES = {"active": "green", "paused": "yellow"}
OUTCOMES = {"submitted": "green", "waiting": "cyan", "skipped": "dim", "missed": "yellow", "refused": "red"}

Json = dict[str, Any]


def schedules(found: list[Schedule]) -> None:
    if not found:
        return page.say("No schedule yet: `etude schedule create --help` says how to make one.")
    table = page.table("schedule", "state", "cron", "zone", "next", "job")
    for each in found:
        state = Text(each.state, style=STATES[each.state])
        when = page.when(each.raw["next_at"]) if each.raw["next_at"] else "–"
        job = f"{escape(_job(each.raw['job']))}"
        table.add_row(escape(each.name), state, escape(each.raw["cron"]), each.raw["timezone"], when, job)
    return page.console().print(table)


def schedule(shown: Schedule) -> None:
    """One schedule: when, what, and why it stands still if it does."""
    out, raw = page.console(), shown.raw
    out.print(Text(f"{shown.name}  {raw['cron']} {raw['timezone']}  ") + Text(shown.state, style=STATES[shown.state]))
    out.print(escape(f"  {_job(raw['job'])}"))
    out.print(f"  overlap {raw['overlap']}, misfire {raw['misfire']} within {raw['misfire_grace_s']:g} s")
    if raw["next_at"]:
        out.print(f"  next {page.when(raw['next_at'])}")
    if shown.error:
        show.error(EtudeError(str(shown.error.get("detail")), problem=shown.error), as_json=False)
    if shown.next_at is None:
        out.print(escape(f"  etude schedule resume {shlex.quote(shown.name)}"), style="dim")


def moments(shown: Schedule, found: Iterable[datetime]) -> None:
    """When it is due, or would be; that it is paused is said on standard error."""
    for moment in found:
        page.say(page.when(moment.isoformat()))
    if shown.next_at is None:
        said = f"It is paused, and none of these comes before `etude schedule resume {shlex.quote(shown.name)}`."
        page.console(is_error=True).print(escape(said))


def runs(shown: Schedule, found: list[Json]) -> None:
    if not found:
        first = f": the first is due {page.when(shown.raw['next_at'])}" if shown.next_at else ", for it is paused"
        return page.say(f"No run yet{first}.")
    table = page.table("due", "outcome", "job", "state", "why")
    for each in found:
        job = each["job"] or {"id": "–", "state": "–"}
        due = page.when(each["due_at"]) + (" by hand" if each["by_hand"] else "")
        state = Text(job["state"], style=show.COLOURS.get(job["state"], ""))
        why = escape((each["error"] or {}).get("detail", ""))
        table.add_row(due, Text(each["outcome"], style=OUTCOMES.get(each["outcome"], "")), job["id"], state, why)
    return page.console().print(table)


def _job(job: Json) -> str:
    named = job.get("dataset")
    # A composition needs no dataset.
    on = () if named is None else ("on", named if isinstance(named, str) else ", ".join(named))
    words = (job["action"], job.get("kind"), job.get("model"), *on)
    return " ".join(word for word in words if word)
