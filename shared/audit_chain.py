"""The chains of the audit log: whether each row is what was written, and where what is kept of one begins.

`python -m shared.audit_chain verify` looks for rows that were changed, removed or put elsewhere; `forget` lets go of
old ones, which on PostgreSQL only the tables' owner can.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Text, delete, exists, func, select, text, type_coerce, update

from shared import audit_log, settings
from shared.audit_log import BEGINNING, Entry
from shared.database import Database
from shared.tables import audit_heads as heads
from shared.tables import audit_log as table
from shared.tenancy import EVERYONE

AT_ONCE = 1000
FORGETS = "let go of rows from before a day, of all tenants; on PostgreSQL with the URL of the tables' owner"


IS_OWNER = text(
    "SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = CAST('audit_heads' AS regclass)"
)


class NotTheOwner(Exception):
    """The database lets this role go on with the log, and forget nothing."""


@dataclass(frozen=True)
class Found:
    """Where the chains end, for whoever keeps that elsewhere, and a sentence for each fault."""

    heads: list[Row[Any]]  # tenant, seq, hash, kept_from, kept_previous
    faults: list[str]


def verify(sql: Connection) -> Found:
    """Follow each tenant's chain from the first row that is kept to its head.

    Whoever may write to the database and counts all hashes anew, heads included, is found out only by a head that was
    kept elsewhere.
    """
    # All of one moment, whatever is written meanwhile: heads first, and no row beyond them.
    known = list(sql.execute(select(heads).order_by(heads.c.tenant)).all())
    faults = [fault for head in known for fault in _follow(sql, head)]
    headless = select(table.c.tenant).where(table.c.tenant.not_in(select(heads.c.tenant))).distinct()
    faults += [f"{tenant}: there are rows and no head" for tenant in sql.execute(headless).scalars()]
    # Asked in one statement, in which a writer's row and head are both there or neither.
    beyond = select(heads.c.tenant).where(exists().where(table.c.tenant == heads.c.tenant, table.c.seq > heads.c.seq))
    faults += [f"{tenant}: there are rows behind the head" for tenant in sql.execute(beyond).scalars()]
    return Found(known, faults)


def _follow(sql: Connection, head: Row[Any]) -> Iterator[str]:
    seq, previous = head.kept_from - 1, head.kept_previous
    for row in _rows(sql, head):
        if row.seq != seq + 1:
            yield f"{head.tenant}: after row {seq} comes row {row.seq}"
        elif row.previous != previous:
            yield f"{head.tenant}: row {row.seq} does not follow the row before it"
        if audit_log.digest(dict(row._mapping)) != row.hash:
            yield f"{head.tenant}: row {row.seq} is not what was written"
        seq, previous = row.seq, row.hash
    if (seq, previous) != (head.seq, head.hash):
        yield f"{head.tenant}: the chain ends at row {seq}, and its head is at row {head.seq}"


# The object is sealed, and hashed so: whoever follows the chain needs no key.
AS_IT_LIES = [type_coerce(each, Text).label(each.name) if each is table.c.object else each for each in table.c]


def _rows(sql: Connection, head: Row[Any]) -> Iterator[Row[Any]]:
    """All of a tenant up to its head, some at a time: a log may be larger than memory."""
    mine, last = (table.c.tenant == head.tenant) & (table.c.seq <= head.seq), -1
    chosen = select(*AS_IT_LIES).where(mine).order_by(table.c.seq).limit(AT_ONCE)
    while found := sql.execute(chosen.where(table.c.seq > last)).all():
        yield from found
        last = found[-1].seq


def forget(sql: Connection, *, before: float) -> int:
    """Let go of the rows from before a moment (seconds since 1970), of all tenants; returns how many.

    The last row of each stays. What is kept begins with the hash of what went, so that it can still be verified.
    Raises NotTheOwner.
    """
    if sql.dialect.name == "postgresql" and not sql.execute(IS_OWNER).scalar_one():
        raise NotTheOwner(
            "Only the owner of the tables lets go of rows: give ETUDE_DATABASE_URL with the owner's role."
        )
    gone = 0
    for head in sql.execute(select(heads).order_by(heads.c.tenant).with_for_update()).all():
        mine = table.c.tenant == head.tenant
        last = sql.execute(select(func.max(table.c.seq)).where(mine, table.c.at < before)).scalar() or 0
        last = min(last, head.seq - 1)
        if last < head.kept_from:
            continue
        previous = sql.execute(select(table.c.hash).where(mine, table.c.seq == last)).scalar() or BEGINNING
        moved = update(heads).where(heads.c.tenant == head.tenant)
        # First this: the triggers let go of nothing that is to be kept.
        sql.execute(moved.values(kept_from=last + 1, kept_previous=previous))
        gone += sql.execute(delete(table).where(mine, table.c.seq <= last)).rowcount
        audit_log.append(sql, Entry(head.tenant, "audit_log.forget", 200))
    return gone


def main(arguments: list[str] | None = None) -> None:
    """Verify the chains, or let go of what is old; ends with status 1 when a row is not what was written."""
    chosen = _parser().parse_args(arguments)
    database = Database(settings.read(), whose=EVERYONE)
    try:
        if chosen.does == "forget":
            with database.transaction() as sql:
                print(f"{forget(sql, before=chosen.before.timestamp()):,} rows were let go of.")  # noqa: T201
            return
        with database.reading() as sql:
            found = verify(sql)
    except NotTheOwner as reason:
        sys.exit(str(reason))
    finally:
        database.close()
    for head in found.heads:
        print(f"{head.tenant}  {head.seq:,} rows  {head.hash}")  # noqa: T201
    for fault in found.faults:
        print(fault, file=sys.stderr)  # noqa: T201
    sys.exit(1 if found.faults else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.audit_chain", description="The audit log of all tenants.")
    does = parser.add_subparsers(dest="does", required=True)
    does.add_parser("verify", help="find rows that were changed, removed or put elsewhere")
    forgetting = does.add_parser("forget", help=FORGETS, description=FORGETS)
    forgetting.add_argument("--before", type=_day, required=True, metavar="2026-01-31", help="a day, beginning in UTC")
    return parser


def _day(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T00:00:00+00:00")


if __name__ == "__main__":
    main()
