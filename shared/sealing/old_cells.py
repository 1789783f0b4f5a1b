"""Seals the cells of SQL that were written before such were sealed.

Of what nobody searches by, a cell from before is read as it lies. A name from before is found by nobody, so whoever
brings the schema up to date seals all there is (migrations/upgrade.py).
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, Text, cast, func, or_, select, type_coerce, update

from shared.database import Database
from shared.sealed_columns import SealedJson, SealedName, sealed_of
from shared.sealing.cells import MARKS
from shared.tables import audit_log, datasets, metadata, models, rights_entries, schedules, tenants

# Never changed, so what lies open there stays so.
LEDGERS = (audit_log, rights_entries)
# The last to be sealed, and few rows beside jobs: where these are done, all are.
LAST = (schedules, models, datasets, tenants)
ROWS_AT_ONCE = 200


def count(database: Database) -> int:
    """How many rows have a cell that lies open."""
    with database.reading() as sql:
        return sum(
            int(sql.execute(select(func.count()).select_from(table).where(_is_open(table))).scalar_one())
            for table in _tables()
        )


def seal_all(database: Database) -> Iterator[str]:
    """Seal some rows at a time, of one tenant in one transaction; yields the table's name, a row a time."""
    for table in _tables():
        for tenant in _owners(database, table):
            mine = database if tenant is None else database.of(tenant)
            while sealed := _seal_some(mine, table):
                yield from [table.name] * sealed


def has_open_names(database: Database) -> bool:
    """Whether there are rows of a release that did not seal names; costs a look at four small tables."""
    with database.reading() as sql:
        return any(_lies_open(sql, table) for table in LAST)


def _lies_open(sql: Connection, table: Table) -> bool:
    return sql.execute(select(table.c.id).where(_is_open_cell(table.c.name)).limit(1)).first() is not None


def _seal_some(database: Database, table: Table) -> int:
    keys, sealed = list(table.primary_key), sealed_of(table)
    chosen = select(*(_raw(key).label(f"key_{key.name}") for key in keys), *sealed).where(_is_open(table))
    with database.transaction() as sql:
        rows = sql.execute(chosen.limit(ROWS_AT_ONCE).with_for_update()).all()
        for row in rows:
            this = [_raw(key) == row._mapping[f"key_{key.name}"] for key in keys]
            sql.execute(update(table).where(*this).values({each: row._mapping[each] for each in sealed}))
    return len(rows)


def _owners(database: Database, table: Table) -> list[str | None]:
    if "tenant" not in table.c:
        return [None]
    with database.reading() as sql:
        return list(sql.execute(select(table.c.tenant).where(_is_open(table)).distinct()).scalars())


def _tables() -> list[Table]:
    known = [table for table in metadata.sorted_tables if sealed_of(table) and table not in LEDGERS]
    return [table for table in known if table not in LAST] + list(LAST)


def _raw(column: Column[Any]) -> ColumnElement[Any]:
    """As it lies, to be compared with what lies there."""
    return type_coerce(column, Text) if isinstance(column.type, SealedName) else column


def _is_open(table: Table) -> ColumnElement[bool]:
    return or_(*(_is_open_cell(column) for column in sealed_of(table)))


def _is_open_cell(column: Column[Any]) -> ColumnElement[bool]:
    if not isinstance(column.type, SealedJson):
        return ~or_(*(type_coerce(column, Text).like(f"{mark}%") for mark in MARKS))
    shown = cast(column, Text)
    return shown.not_in(["null"]) & ~or_(*(shown.like(f'"{mark}%') for mark in MARKS))
