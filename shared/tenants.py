"""`python -m shared.tenants`: what the operator does with tenants: make, list, limit, suspend, and give new keys.

The audit log of a tenant tells what was done here, with no key.
"""

import argparse
import dataclasses
import sys
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from shared import audit_log, ids, keys, quarantine, quotas, secrets, settings
from shared.audit_log import Entry
from shared.database import Database, now
from shared.issued_keys import DAY_S, EXPIRES_DAYS_AT_MOST
from shared.settings import Settings
from shared.tables import tenants
from shared.tenancy import EVERYONE

NAME_CHARACTERS = 255


class Wrong(Exception):
    """Ends the command with a sentence and status 1."""


def main(arguments: list[str] | None = None) -> None:
    """Do what was asked and print what came of it; a key goes to standard output alone, and once."""
    asked = _parser().parse_args(arguments)
    chosen = settings.read()
    if not chosen.pepper:
        # Of a service that `make up` runs.
        chosen = dataclasses.replace(chosen, pepper=secrets.pepper_there(chosen.home))
    if asked.does in ("create", "key"):
        settings.demand(chosen, "pepper")
    database = Database(chosen, whose=EVERYONE)
    try:
        with database.transaction() as sql:
            said = DOES[asked.does](sql, asked, chosen)
    except Wrong as reason:
        print(reason, file=sys.stderr)  # noqa: T201
        sys.exit(1)
    finally:
        database.close()
    print(said)  # noqa: T201


def create(sql: Connection, asked: argparse.Namespace, chosen: Settings) -> str:
    """A tenant with its first admin key, which is what is printed."""
    name = asked.name.strip()
    if not 0 < len(name) <= NAME_CHARACTERS or not name.isprintable():
        raise Wrong(f"expected a name of 1 to {NAME_CHARACTERS} printable signs, received {asked.name!r}")
    if sql.execute(select(tenants.c.id).where(tenants.c.name == name)).first() is not None:
        raise Wrong(f"There is a tenant {name!r} already: `key` makes another key of it.")
    tenant = ids.new("ten")
    sql.execute(insert(tenants).values(id=tenant, name=name, created_at=now()))
    return _key(sql, tenant, name="first", asked=asked, chosen=chosen, action="tenants.create")


def make_key(sql: Connection, asked: argparse.Namespace, chosen: Settings) -> str:
    """Another admin key, for a tenant that has lost its own."""
    return _key(sql, _find(sql, asked.name).id, name="operator", asked=asked, chosen=chosen, action="tenants.key")


def _key(sql: Connection, tenant: str, *, name: str, asked: argparse.Namespace, chosen: Settings, action: str) -> str:
    expires_in_s = None if asked.expires_in_days is None else asked.expires_in_days * DAY_S
    row, key = keys.make(sql, tenant, name=name, scope=keys.ADMIN, pepper=chosen.pepper, expires_in_s=expires_in_s)
    audit_log.append(sql, Entry(tenant, action, 201, object=tenant, made=str(row.id)))
    return key


def list_all(sql: Connection, asked: argparse.Namespace, chosen: Settings) -> str:
    """One line a tenant: its id, whether it is suspended, its limits, its name."""
    rows = sql.execute(select(tenants).order_by(tenants.c.created_at, tenants.c.id)).all()
    return "\n".join(_line(sql, row, chosen) for row in rows) or "There is no tenant yet."


def _line(sql: Connection, row: Row[Any], chosen: Settings) -> str:
    limits = vars(quotas.of_tenant(sql, row.id, chosen))
    said = " ".join(f"{name}={'none' if limit is None else limit}" for name, limit in limits.items())
    return f"{row.id}  {'active' if row.suspended_at is None else 'suspended'}  {said}  {row.name}"


def limit(sql: Connection, asked: argparse.Namespace, chosen: Settings) -> str:
    """Set some of a tenant's limits, and leave the others."""
    row = _find(sql, asked.name)
    given = {column: vars(asked)[name] for name, (column, _) in quotas.COLUMNS.items() if name in asked}
    if given:
        sql.execute(update(tenants).where(tenants.c.id == row.id).values(given))
        audit_log.append(sql, Entry(row.id, "tenants.limit", 200, object=row.id))
    return _line(sql, _find(sql, asked.name), chosen)


def suspend(sql: Connection, asked: argparse.Namespace, chosen: Settings) -> str:
    """Let nothing of a tenant begin: its keys open nothing, its jobs wait, its schedules do not fire."""
    change = {"suspended_at": func.coalesce(tenants.c.suspended_at, now())}
    return f"{_change(sql, asked.name, 'tenants.suspend', change)}: suspended"


def resume(sql: Connection, asked: argparse.Namespace, chosen: Settings) -> str:
    """Let a tenant work again."""
    return f"{_change(sql, asked.name, 'tenants.resume', {'suspended_at': None})}: resumed"


def lift(sql: Connection, asked: argparse.Namespace, chosen: Settings) -> str:
    """Let what has ended a decoder be opened again, once; what does so another time is kept from it anew."""
    row = _find(sql, asked.name)
    count = quarantine.lift(sql, row.id)
    audit_log.append(sql, Entry(row.id, "tenants.lift", 200, object=row.id))
    return f"{row.name}: {count:,} files and pieces that had ended a decoder may be opened again"


def _change(sql: Connection, name: str, action: str, change: dict[str, Any]) -> str:
    row = _find(sql, name)
    sql.execute(update(tenants).where(tenants.c.id == row.id).values(change))
    audit_log.append(sql, Entry(row.id, action, 200, object=row.id))
    return str(row.name)


def _find(sql: Connection, name: str) -> Row[Any]:
    row = sql.execute(select(tenants).where((tenants.c.name == name) | (tenants.c.id == name))).first()
    if row is None:
        raise Wrong(f"There is no tenant {name!r}: `list` names all.")
    return row


DOES = {
    "create": create, "key": make_key, "list": list_all, "limit": limit, "suspend": suspend, "resume": resume,
    "lift": lift,
}  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.tenants", description="The tenants of this service.")
    does = parser.add_subparsers(dest="does", required=True)
    does.add_parser("list", help="every tenant with its limits")
    for name, said in (
        ("create", "make a tenant and print its first admin key, once"),
        ("key", "print a new admin key of a tenant that has lost its own, once"),
        ("limit", "set limits of a tenant: a number, none, or default for what the settings say"),
        ("suspend", "let its keys open nothing, its jobs wait and its schedules not fire"),
        ("resume", "let it work again"),
        ("lift", "let its files that have ended a decoder be opened again"),
    ):
        added = does.add_parser(name, help=said)
        added.add_argument("name", help="its name" if name == "create" else "its name or id")
        if name in ("create", "key"):
            added.add_argument("--expires-in-days", type=_days, help="the key lives for ever without it")
        if name == "limit":
            for each in quotas.COLUMNS:
                option = f"--{each.replace('_', '-')}"
                added.add_argument(option, dest=each, type=_limit, default=argparse.SUPPRESS, metavar="N")
    return parser


def _limit(text: str) -> int | None:
    if text in ("default", "none"):
        return None if text == "default" else quotas.NO_LIMIT
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"expected a whole number, none or default, received {text!r}")
    return int(text)


def _days(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= EXPIRES_DAYS_AT_MOST:
        raise argparse.ArgumentTypeError(f"expected 1 to {EXPIRES_DAYS_AT_MOST} days, received {text!r}")
    return int(text)


if __name__ == "__main__":
    main()
