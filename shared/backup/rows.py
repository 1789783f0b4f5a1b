"""Every row of every table, from one database into another of the same revision; either may be SQLite or PostgreSQL.

The tables are read from the databases: they may be of an older revision than shared/tables.py.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    MetaData,
    Table,
    Text,
    bindparam,
    cast,
    insert,
    inspect,
    literal,
    select,
)

from shared.backup import Refused
from shared.tables import metadata

# A row may carry a megabyte of JSON.
ROWS_AT_ONCE = 200
VERSION_TABLE = "alembic_version"


def names(sql: Connection) -> list[str]:
    """The tables of a database that holds nothing but ours."""
    return [name for name in inspect(sql).get_table_names() if name != VERSION_TABLE]


def copy(source: Connection, target: Connection, tables: list[str]) -> dict[str, int]:
    """Copy these tables, parents first; returns how many rows each has."""
    old, new = _reflect(source, tables), _reflect(target, tables)
    return {table.name: _copy(source, target, old.tables[table.name], table) for table in new.sorted_tables}


def demand_none(sql: Connection) -> None:
    """Raise Refused when a table of ours has a row."""
    there = set(inspect(sql).get_table_names())
    for table in metadata.sorted_tables:
        # No column by its name: the database may be of another revision.
        if table.name in there and sql.execute(select(literal(1)).select_from(table).limit(1)).first() is not None:
            raise Refused(
                f"The database {sql.engine.url.render_as_string()} has rows already, in the table {table.name}: "
                "restore into an empty one, before the service is started there for the first time."
            )


def _reflect(sql: Connection, tables: list[str]) -> MetaData:
    found = MetaData()
    found.reflect(sql, only=tables)
    return found


def _copy(source: Connection, target: Connection, old: Table, new: Table) -> int:
    count = 0
    chosen = select(*(_read(column) for column in old.columns)).execution_options(yield_per=ROWS_AT_ONCE)
    put = insert(new).values({column.name: _written(column, target) for column in new.columns})
    for some in source.execute(chosen).partitions():
        target.execute(put, [dict(row._mapping) for row in some])
        count += len(some)
    return count


def _read(column: Column[Any]) -> Any:  # Any: a column or an expression
    # As text: each JSON document keeps its very signs, and JSON's null stays another thing than no value.
    return cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column


def _written(column: Column[Any], target: Connection) -> Any:  # Any: as above
    if not isinstance(column.type, JSON):
        return bindparam(column.name, type_=column.type)
    text = bindparam(column.name, type_=Text)
    # SQLite would make a number of whatever is cast to JSON.
    return text if target.dialect.name == "sqlite" else cast(text, JSON)
