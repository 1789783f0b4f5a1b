"""The audit log: what was changed, by which key, and what was refused; each row holds the hash of the one before it.

`python -m shared.audit_log verify` looks for rows that were changed, removed or put elsewhere; `forget` lets go of old
ones. The word *audit* alone means an audit of labels (shared/audits.py).
"""

import argparse
import hashlib
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from shared.database import Database, now
from shared.tables import audit_heads, audit_log

# What the first row of a tenant holds in place of the hash of one before it.
BEGINNING = "0" * 64
# As long as what is worth to be read of an id or a name that somebody else chose.
OBJECT_CHARACTERS = 255
# What is hashed, in this order.
HASHED = ("tenant", "seq", "at", "key", "action", "object", "made", "status", "request", "previous")

Json = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One thing that was done or refused: ids and names of models alone, never a body, a file's name or a secret."""

    tenant: str
    action: str
    status: int
    key: str | None = None  # none: the operator
    object: str | None = None
    made: str | None = None
    request: str | None = None


# Built once: putting a statement together costs as much as running it.
_MINE = audit_heads.c.tenant == bindparam("of")
_HOLD = select(audit_heads.c.seq, audit_heads.c.hash, now().label("at")).where(_MINE).with_for_update()
_BEGIN = {
    name: dialect.insert(audit_heads)
    .values(tenant=bindparam("of"), seq=0, hash=BEGINNING, kept_from=1, kept_previous=BEGINNING)
    .on_conflict_do_nothing()
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}
_WRITE = insert(audit_log).values({name: bindparam(name) for name in (*HASHED, "hash")})
_MOVE = update(audit_heads).where(_MINE).values(seq=bindparam("new_seq"), hash=bindparam("new_hash"))


def append(sql: Connection, entry: Entry) -> None:
    """Write a row at the end of its tenant's chain, in the transaction of what it tells.

    To be called last: the head is held until the commit, and the tenant's next writer waits for it.
    """
    head = sql.execute(_HOLD, {"of": entry.tenant}).one_or_none()
    if head is None:
        sql.execute(_BEGIN[sql.dialect.name], {"of": entry.tenant})
        head = sql.execute(_HOLD, {"of": entry.tenant}).one()
    named = None if entry.object is None else entry.object[:OBJECT_CHARACTERS]
    row: Json = {**vars(entry), "object": named, "seq": head.seq + 1, "at": head.at, "previous": head.hash}
    row["hash"] = digest(row)
    sql.execute(_WRITE, row)
    sql.execute(_MOVE, {"of": entry.tenant, "new_seq": row["seq"], "new_hash": row["hash"]})


def digest(row: Json) -> str:
    """The SHA-256 of a row: of what it says and of the hash before it, as a JSON list in the order of HASHED."""
    return hashlib.sha256(orjson.dumps([row[name] for name in HASHED])).hexdigest()


def page(
    sql: Connection,
    tenant: str,
    *,
    limit: int,
    before: int | None,
    equal: Json,
    since: float | None = None,
    until: float | None = None,
) -> list[Row[Any]]:
    """The newest first; `equal` names columns (key, action, object, status), moments are seconds since 1970."""
    chosen = select(audit_log).where(
        audit_log.c.tenant == tenant, *(audit_log.c[name] == value for name, value in equal.items())
    )
    if before is not None:
        chosen = chosen.where(audit_log.c.seq < before)
    if since is not None:
        chosen = chosen.where(audit_log.c.at >= since)
    if until is not None:
        chosen = chosen.where(audit_log.c.at < until)
    return list(sql.execute(chosen.order_by(audit_log.c.seq.desc()).limit(limit)).all())


def main(arguments: list[str] | None = None) -> None:
    """Verify the chains, or let go of what is old; ends with status 1 when a row is not what was written."""
    # They read the log, as this file writes it.
    from shared import audit_chain, settings

    chosen = _parser().parse_args(arguments)
    database = Database(settings.read())
    try:
        if chosen.does == "forget":
            with database.transaction() as sql:
                print(f"{audit_chain.forget(sql, before=chosen.before.timestamp()):,} rows were let go of.")  # noqa: T201
            return
        with database.reading() as sql:
            found = audit_chain.verify(sql)
    finally:
        database.close()
    for head in found.heads:
        print(f"{head.tenant}  {head.seq:,} rows  {head.hash}")  # noqa: T201
    for fault in found.faults:
        print(fault, file=sys.stderr)  # noqa: T201
    sys.exit(1 if found.faults else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.audit_log", description="The audit log of all tenants.")
    does = parser.add_subparsers(dest="does", required=True)
    does.add_parser("verify", help="find rows that were changed, removed or put elsewhere")
    forget = does.add_parser("forget", help="let go of rows from before a day, of all tenants")
    forget.add_argument("--before", type=_day, required=True, metavar="2026-01-31", help="a day, beginning in UTC")
    return parser


def _day(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T00:00:00+00:00")


if __name__ == "__main__":
    main()
