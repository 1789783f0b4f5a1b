"""Seals the cells of SQL that were written before such were sealed; until then they are read as they lie."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Table, Text, func, or_, select, type_coerce, update

from shared.database import Database
from shared.sealed_columns import Sealed
from shared.sealing.cells import MARK
from shared.tables import metadata


def count(database: Database) -> int:
    """How many rows have a cell that lies open."""
    with database.reading() as sql:
        return sum(
            int(sql.execute(select(func.count()).select_from(table).where(_is_open(table))).scalar_one())
            for table in _tables()
        )


def seal_all(database: Database) -> Iterator[str]:
    """Seal row by row, each in a transaction of its own; yields its id."""
    for table in _tables():
        with database.reading() as sql:
            rows = sql.execute(select(table.c.id, table.c.tenant).where(_is_open(table))).all()
        for row in rows:
            mine = database.of(row.tenant)
            with mine.transaction() as sql:
                found = sql.execute(select(*_sealed(table)).where(table.c.id == row.id).with_for_update()).one_or_none()
                if found is not None:
                    sql.execute(update(table).where(table.c.id == row.id).values(dict(found._mapping)))
            yield row.id


def _tables() -> list[Table]:
    return [table for table in metadata.sorted_tables if _sealed(table)]


def _sealed(table: Table) -> list[ColumnElement[str]]:
    return [column for column in table.c if isinstance(column.type, Sealed)]


def _is_open(table: Table) -> ColumnElement[bool]:
    return or_(*(type_coerce(column, Text).not_like(f"{MARK}.%") for column in _sealed(table)))
