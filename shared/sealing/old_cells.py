"""Seals the cells of SQL that were written before such were sealed.

Of what nobody searches by, a cell from before is read as it lies. A name from before is found by nobody, so whoever
brings the schema up to date seals all there is (migrations/upgrade.py).
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    Text,
    cast,
    func,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)

from shared.database import Database
from shared.sealed_columns import NOBODY, SealedJson, SealedName, sealed_of
from shared.sealing.cells import NAME, TEXT
from shared.tables import audit_log, datasets, erasures, metadata, models, rights_entries, schedules, tenants

# Never changed, so what lies open there stays so.
LEDGERS = (audit_log, rights_entries)
# The last to be sealed, and few rows beside jobs: where these are done, all are.
LAST = (schedules, models, datasets, tenants)
# Sealed by a later release than the names.
LATER = (erasures.c.pseudonym,)
ROWS_AT_ONCE = 200


def count(database: Database) -> int:
    """How many rows have a cell that lies open."""
    with database.reading() as sql:
        return sum(
            int(sql.execute(select(func.count()).select_from(table).where(_is_open(table))).scalar_one())
            for table in _tables()
        )


def seal_all(database: Database) -> Iterator[str]:
    """Walk through every table by its key, some rows at a time, and seal; yields the table's name for each row."""
    for table in _tables():
        for keys in _walk(database, table):
            for tenant, mine in groupby(sorted(keys, key=itemgetter(0)), key=itemgetter(0)):
                bound = database if tenant == NOBODY else database.of(tenant)
                yield from [table.name] * _seal(bound, table, [key for _, key in mine])


def has_open_names(database: Database) -> bool:
    """Whether there are rows of a release that did not seal names; costs a look at five small tables."""
    with database.reading() as sql:
        return any(_lies_open(sql, column) for column in (*(table.c.name for table in LAST), *LATER))


def has_open_tenants(sql: Connection) -> bool:
    """Whether there is a tenant with a name that lies open: the column is older than sealing, the table sealed last."""
    return _lies_open(sql, tenants.c.name)


def _lies_open(sql: Connection, column: Column[Any]) -> bool:
    return sql.execute(select(column.table.c.id).where(_is_open_cell(column)).limit(1)).first() is not None


def _walk(database: Database, table: Table) -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """The keys of the rows with something open, each with its tenant: of some rows at a time, so that none is long."""
    raw = [_raw(key) for key in table.primary_key]
    whose = table.c.tenant if "tenant" in table.c else literal(NOBODY)
    chosen = select(whose.label("of"), _is_open(table).label("is_open"), *raw).order_by(*raw).limit(ROWS_AT_ONCE)
    last: tuple[Any, ...] | None = None
    while True:
        with database.reading() as sql:
            rows = sql.execute(chosen if last is None else chosen.where(tuple_(*raw) > tuple_(*last))).all()
        if not rows:
            return
        last = tuple(rows[-1][2:])
        yield [(row[0], tuple(row[2:])) for row in rows if row[1]]


def _seal(database: Database, table: Table, keys: Sequence[tuple[Any, ...]]) -> int:
    raw, sealed = [_raw(key) for key in table.primary_key], sealed_of(table)
    count = 0
    with database.transaction() as sql:
        for key in keys:
            this = [column == value for column, value in zip(raw, key, strict=True)]
            row = sql.execute(select(*sealed).where(*this, _is_open(table)).with_for_update()).one_or_none()
            if row is not None:
                # What was nothing stays nothing, which in JSON is another thing than null.
                held = {each: row._mapping[each] for each in sealed if row._mapping[each] is not None}
                sql.execute(update(table).where(*this).values(held))
                count += 1
    return count


def _tables() -> list[Table]:
    known = [table for table in metadata.sorted_tables if sealed_of(table) and table not in LEDGERS]
    return [table for table in known if table not in LAST] + list(LAST)


def _raw(column: Column[Any]) -> ColumnElement[Any]:
    """As it lies, to be compared with what lies there."""
    return type_coerce(column, Text) if isinstance(column.type, SealedName) else column


def _is_open(table: Table) -> ColumnElement[bool]:
    return or_(*(_is_open_cell(column) for column in sealed_of(table)))


def _is_open_cell(column: Column[Any]) -> ColumnElement[bool]:
    """Not LIKE, to which in SQLite small signs and capitals are the same."""
    whose = column.table.c.tenant if "tenant" in column.table.c else literal(NOBODY)
    if not isinstance(column.type, SealedJson):
        mark = literal(f"{NAME if isinstance(column.type, SealedName) else TEXT}.") + whose + "."
        return func.substr(type_coerce(column, Text), 1, func.length(mark)) != mark
    shown, mark = cast(column, Text), literal(f'"{TEXT}.') + whose + "."
    return shown.not_in(["null"]) & (func.substr(shown, 1, func.length(mark)) != mark)
