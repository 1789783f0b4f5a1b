"""The audit log: what was changed, by which key, and what was refused; each row holds the hash of the one before it.

Whether the chains are whole is asked in shared/audit_chain.py. The word *audit* alone means an audit of labels
(shared/audits.py).
"""

import hashlib
import sqlite3
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Text,
    bindparam,
    insert,
    or_,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from shared import sealed_columns
from shared.database import now
from shared.errors import Unavailable
from shared.tables import audit_heads, audit_log

# What the first row of a tenant holds in place of the hash of one before it.
BEGINNING = "0" * 64
# As long as what is worth to be read of an id or a name that somebody else chose.
OBJECT_CHARACTERS = 255
# What a row says, as a JSON list in this order the first line of what is hashed; the others are its `seq`, its `at` in
# whole microseconds, and its `previous`.
SAID = ("tenant", "key", "action", "object", "made", "status", "request")
CHAINED = ("seq", "at", "previous", "hash")

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
_HEAD = select(audit_heads.c.seq, audit_heads.c.hash, now().label("at")).where(_MINE)
_WRITE = insert(audit_log).values({name: bindparam(name) for name in (*SAID, *CHAINED)})
_MOVE = update(audit_heads).where(_MINE).values(seq=bindparam("new_seq"), hash=bindparam("new_hash"))

# As _chain, by PostgreSQL alone.
_CHAIN = text(
    """
    WITH head AS MATERIALIZED (
      SELECT seq + 1 AS seq, hash AS previous, floor(extract(epoch FROM clock_timestamp()) * 1e6)::bigint AS at_us
      FROM audit_heads WHERE tenant = :tenant FOR UPDATE
    ), line AS MATERIALIZED (
      SELECT seq, previous, at_us, encode(sha256(convert_to(
        concat(CAST(:first_line AS text), chr(10), seq, chr(10), at_us, chr(10), previous), 'UTF8')), 'hex') AS hash
      FROM head
    ), written AS (
      INSERT INTO audit_log (tenant, seq, at, key, action, object, made, status, request, previous, hash)
      SELECT :tenant, seq, at_us / 1e6::float8, :key, :action, :object, :made, :status, :request, previous, hash
      FROM line
    )
    UPDATE audit_heads SET seq = line.seq, hash = line.hash FROM line
    WHERE audit_heads.tenant = :tenant RETURNING audit_heads.seq
    """
)


def append(sql: Connection, entry: Entry) -> None:
    """Write a row at the end of its tenant's chain, in the transaction of what it tells.

    To be called last: the head is held until the commit, and the tenant's next writer waits for it.
    """
    named = None if entry.object is None else entry.object[:OBJECT_CHARACTERS]
    # Sealed here, for the statements below pass the column's type by. The chain is of what lies there: a hash of what
    # was said would let somebody who has no key try names.
    cell = None if named is None else sealed_columns.seal_name(sql, audit_log.c.object, entry.tenant, named)
    said: Json = {**vars(entry), "object": cell}
    write = _chain_in_one if sql.dialect.name == "postgresql" else _chain
    if not write(sql, said):
        head = {"tenant": entry.tenant, "seq": 0, "hash": BEGINNING, "kept_from": 1, "kept_previous": BEGINNING}
        dialect = postgresql if sql.dialect.name == "postgresql" else sqlite
        sql.execute(dialect.insert(audit_heads).values(head).on_conflict_do_nothing())
        write(sql, said)


def _chain(sql: Connection, said: Json) -> bool:
    """Write the row and move the head; False where there is no head yet. Of SQLite, whose writer is alone."""
    # Said to the driver itself: SQLAlchemy's way to a cursor costs many times the statement, and every change comes by.
    driver: Any = sql.connection.driver_connection
    try:
        head = _ask(driver, _HEAD, {"of": said["tenant"]}).fetchone()
        if head is None:
            return False
        seq, previous, at = head
        row = {**said, "seq": seq + 1, "at": at, "previous": previous}
        row["hash"] = digest(row)
        _ask(driver, _WRITE, row)
        _ask(driver, _MOVE, {"of": said["tenant"], "new_seq": seq + 1, "new_hash": row["hash"]})
    except sqlite3.OperationalError as cause:
        raise Unavailable("The database is away or full: send the request again.", retry_after_s=2) from cause
    return True


def _ask(driver: Any, statement: Any, values: Json) -> Any:  # Any: the driver's own objects
    said, names = _plain(statement)
    return driver.execute(said, [values[name] for name in names])


@cache
def _plain(statement: Any) -> tuple[str, tuple[str, ...]]:
    """A statement as SQLite's driver takes it, and the names of its values in their order."""
    made = statement.compile(dialect=sqlite.dialect())
    return str(made), tuple(made.positiontup)


def _chain_in_one(sql: Connection, said: Json) -> bool:
    # The tenant's next writer waits from here to the commit: one question to the server instead of three.
    return sql.execute(_CHAIN, {**said, "first_line": _first_line(said)}).first() is not None


def digest(row: Json) -> str:
    """The SHA-256 of a row as it lies: of what it says, of its place and moment, and of the hash before it."""
    rest = f"\n{row['seq']}\n{round(row['at'] * 1e6)}\n{row['previous']}"
    return hashlib.sha256((_first_line(row) + rest).encode()).hexdigest()


def _first_line(row: Json) -> str:
    return orjson.dumps([row[name] for name in SAID]).decode()


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
        audit_log.c.tenant == tenant, *(_is(audit_log.c[name], value) for name, value in equal.items())
    )
    if before is not None:
        chosen = chosen.where(audit_log.c.seq < before)
    if since is not None:
        chosen = chosen.where(audit_log.c.at >= since)
    if until is not None:
        chosen = chosen.where(audit_log.c.at < until)
    return list(sql.execute(chosen.order_by(audit_log.c.seq.desc()).limit(limit)).all())


def _is(column: Column[Any], value: Any) -> ColumnElement[bool]:  # Any: of a column's type
    same: ColumnElement[bool] = column == value
    # Rows are never changed: those from before objects were sealed have them in the open.
    return or_(same, type_coerce(column, Text) == value) if column is audit_log.c.object else same
