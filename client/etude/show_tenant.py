"""Keys, limits and the audit log for a person to read."""

from typing import Any

import click
from rich.markup import escape
from rich.text import Text

from etude import page

STATES = {"active": "green", "expired": "yellow", "revoked": "dim"}
REFUSED = 400

Json = dict[str, Any]


def secret(made: Json) -> None:
    """The key alone on standard output, so that it can be piped; what is to be known of it beside that."""
    click.echo(made["secret"])
    until = f", good until {page.when(made['expires_at'])}" if made["expires_at"] else ""
    click.echo(f"{made['id']} ({made['scope']}){until}. It is not shown again.", err=True)


def keys(found: list[Json]) -> None:
    table = page.table("key", "name", "scope", "state", "expires", "last used")
    for each in found:
        state = Text(each["state"] + (" (rotated)" if each["rotated_to"] else ""), style=STATES.get(each["state"], ""))
        expires, used = (page.when(each[name]) if each[name] else "–" for name in ("expires_at", "last_used_at"))
        table.add_row(each["id"], escape(each["name"]), each["scope"], state, expires, used)
    page.print_table(table, spare=("last used",))


def limits(found: Json) -> None:
    table = page.table("limit", "used", "of")
    for name, each in found.items():
        if name != "rates":
            of = "no limit" if each["limit"] is None else f"{each['limit']:,}"
            table.add_row(name.replace("_", " "), f"{each['used']:,}", of)
    for name, rate in found["rates"].items():
        often = f"{rate['per_second'] or 0:g} a second, {rate['burst']:,} at once"
        table.add_row(name, "", "no limit" if rate["per_second"] is None else often)
    page.console().print(table)


def encryption_key(found: Json) -> None:
    if found["id"] is None:
        return page.say("Nothing is stored yet, and so there is no key.")
    since = page.when(found["created_at"])
    return page.say(f"Everything lies under key {found['generation']} of the tenant, made {since} ({found['id']}).")


def audit_log(found: list[Json]) -> None:
    if not found:
        return page.say("Nothing of that sort was written down.")
    table = page.table("when", "action", "object", "status", "key")
    for each in found:
        status = Text(str(each["status"]), style="red" if each["status"] >= REFUSED else "")
        object_ = escape(" → ".join(part for part in (each["object"], each["made"]) if part))
        table.add_row(page.when(each["at"]), each["action"], object_, status, each["key"] or "operator")
    return page.print_table(table, spare=("key",))
