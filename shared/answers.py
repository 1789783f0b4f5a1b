"""Idempotency: the first answer to a POST with a key is kept in the transaction that made it true, and replayed."""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from shared import sealed_columns
from shared.database import now
from shared.errors import InvalidRequest
from shared.tables import answers

# What the column of this name is a hash of.
FINGERPRINT = "answers.fingerprint"


@dataclass(frozen=True)
class Kept:
    """An answer that was given before."""

    status: int
    headers: dict[str, str]
    body: str


def fingerprint(sql: Connection, tenant: str, method: str, path: str, body: bytes) -> str:
    """What must be equal for a request to be the same request."""
    said = b"\n".join((method.encode(), path.encode(), body))
    return sealed_columns.digest(sql, tenant, FINGERPRINT, said)


# Built once: putting a statement together costs as much as running it.
_ROW = {
    "tenant": bindparam("of"), "key": bindparam("named"), "fingerprint": bindparam("request"), "created_at": now(),
}  # fmt: skip
# Not rowcount: psycopg's is not to be had for an insert that may do nothing.
_TAKE = {
    name: dialect.insert(answers).values(_ROW).on_conflict_do_nothing().returning(answers.c.key)
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}
_MINE = (answers.c.tenant == bindparam("of")) & (answers.c.key == bindparam("named"))
_FIND = select(answers).where(_MINE)
_KEEP = update(answers).where(_MINE).values({name: bindparam(f"new_{name}") for name in ("status", "headers", "body")})


def begin(sql: Connection, tenant: str, key: str, *, request: str) -> Kept | None:
    """Take the key for this request, or return the answer that it got the first time.

    Another transaction with the same key is waited for (PostgreSQL by the unique key, SQLite by its one writer), so
    parallel repeats make one thing and get one answer. Raises InvalidRequest for another request under the same key.
    """
    mine = {"of": tenant, "named": key}
    if sql.execute(_TAKE[sql.dialect.name], {**mine, "request": request}).first() is not None:
        return None
    kept = sql.execute(_FIND, mine).one()
    if kept.fingerprint != request:
        said = "This Idempotency-Key was used for another request: make a new key for each."
        raise InvalidRequest(said, code="idempotency_mismatch")
    return Kept(kept.status, kept.headers, kept.body)


def keep(sql: Connection, tenant: str, key: str, answer: Kept) -> None:
    """Keep the answer; it becomes visible with everything else that the transaction did."""
    said = {"new_status": answer.status, "new_headers": answer.headers, "new_body": answer.body}
    sql.execute(_KEEP, {"of": tenant, "named": key, **said})
