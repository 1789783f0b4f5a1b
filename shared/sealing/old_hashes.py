"""Puts under a key the hashes by which SQL tells requests and jobs to be the same, from before they were keyed.

Of so little that whoever guessed it would know: `erase plays --listener u00042` has few forms. The key is put over the
hash that lies there, so that keys of requests, reuse and decisions that were applied go on as if nothing had been.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Row, Select, Text, func, select, type_coerce, update

from shared.answers import FINGERPRINT as OF_REQUESTS
from shared.database import Database
from shared.jobs import FINGERPRINT as OF_JOBS
from shared.sealing.cells import DIGEST
from shared.tables import answers, jobs

# Each look passes over all that is keyed already; a transaction of so many takes a fraction of a second.
ROWS_AT_ONCE = 2000


class Hashed(NamedTuple):
    """A column of hashes, what they are hashes of, and the row's key beside the tenant, as it lies."""

    column: Column[Any]
    what: str
    key: ColumnElement[str]


ALL = (
    Hashed(jobs.c.fingerprint, OF_JOBS, type_coerce(jobs.c.id, Text)),
    Hashed(answers.c.fingerprint, OF_REQUESTS, type_coerce(answers.c.key, Text)),
)


def count(database: Database) -> int:
    """How many hashes still lie there without a key."""
    with database.reading() as sql:
        chosen = (select(func.count()).select_from(each.column.table).where(_is_open(each.column)) for each in ALL)
        return sum(int(sql.execute(one).scalar_one()) for one in chosen)


def key_all(database: Database) -> Iterator[str]:
    """Put the key over all of them, some rows at a time; yields the table's name for each row."""
    for each in ALL:
        while rows := _some(database, each):
            for tenant, mine in groupby(rows, key=lambda row: row.tenant):
                changed = list(mine)
                _key(database.of(tenant), tenant, each, changed)
                yield from [each.column.table.name] * len(changed)


def _some(database: Database, hashed: Hashed) -> Sequence[Row[Any]]:
    table = hashed.column.table
    chosen: Select[Any] = select(table.c.tenant, hashed.key.label("row"), hashed.column.label("hash"))
    with database.reading() as sql:
        return sql.execute(chosen.where(_is_open(hashed.column)).order_by(table.c.tenant).limit(ROWS_AT_ONCE)).all()


def _key(database: Database, tenant: str, hashed: Hashed, rows: Sequence[Row[Any]]) -> None:
    with database.transaction() as sql:
        for row in rows:
            # Only if it is still that one: another upgrade may be at it.
            this = (hashed.key == row.row) & (hashed.column == row.hash)
            keyed = database.cells.digest(tenant, hashed.what, row.hash)
            sql.execute(update(hashed.column.table).where(this).values({hashed.column: keyed}))


def _is_open(column: Column[Any]) -> ColumnElement[bool]:
    return func.substr(column, 1, len(DIGEST)) != DIGEST
