"""Webhooks for a person to read: who is told of what, and what arrived."""

from typing import Any

from rich.markup import escape
from rich.text import Text

from etude import page, show
from etude.errors import EtudeError
from etude.webhooks import Webhook

STATES = {"active": "green", "disabled": "yellow"}
DELIVERIES = {"waiting": "cyan", "delivered": "green", "failed": "red"}

Json = dict[str, Any]


def webhooks(found: list[Webhook]) -> None:
    if not found:
        return page.say("No webhook yet: `etude webhook create URL` makes one.")
    table = page.table("webhook", "state", "url", "events", "created")
    for each in found:
        state = Text(each.state, style=STATES[each.state])
        table.add_row(
            each.id, state, escape(each.url), ", ".join(each.raw["events"]), page.when(each.raw["created_at"])
        )
    return page.console().print(table)


def webhook(shown: Webhook) -> None:
    """One webhook, with its secret where that is told."""
    out, raw = page.console(), shown.raw
    out.print(Text(f"{shown.id}  {shown.url}  ") + Text(shown.state, style=STATES[shown.state]))
    out.print(f"  events {', '.join(raw['events'])}")
    if raw["description"]:
        out.print(escape(f"  {raw['description']}"))
    if raw["failing_since"]:
        out.print(f"  nothing has arrived since {page.when(raw['failing_since'])}", style="yellow")
    if shown.error:
        show.error(EtudeError(str(shown.error.get("detail")), problem=shown.error), as_json=False)
    if shown.secret:
        out.print(f"  secret {shown.secret}")
        out.print("  It is not shown again: give it to the receiver, which verifies signatures with it.", style="dim")


def deliveries(found: list[Json]) -> None:
    if not found:
        return page.say("No delivery yet.")
    table = page.table("delivery", "state", "event", "tries", "created", "next try")
    for each in found:
        state = Text(each["state"], style=DELIVERIES.get(each["state"], ""))
        later = page.when(each["next_at"]) if each["next_at"] else "–"
        table.add_row(
            each["id"], state, each["type"], str(each["attempts"]), page.when(each["created_at"]), later
        )  # fmt: skip
    return page.console().print(table)


def delivery(shown: Json) -> None:
    """One delivery, and what each try came to."""
    out = page.console()
    out.print(
        Text(f"{shown['id']}  {shown['type']}  ") + Text(shown["state"], style=DELIVERIES.get(shown["state"], ""))
    )
    for tried in shown.get("tries", []):
        came_to = tried["status"] or tried["error"]
        out.print(f"  {page.when(tried['at'])}  {came_to}  {tried['took_s']:.1f} s")
    if "body" in shown:
        out.print_json(data=shown["body"])
