"""Connections for long copies: one that sees a single moment, one whose whole work is there at the end or not at all.

Not those of shared/database.py, which read each statement anew and end a statement that takes long.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event

from shared.tenancy import EVERYONE, TENANT


@contextmanager
def snapshot(url: URL) -> Iterator[Connection]:
    """Read one moment of a database, and hold up nobody who writes to it meanwhile."""
    engine = create_engine(url) if _is_sqlite(url) else create_engine(url, isolation_level="REPEATABLE READ")
    if _is_sqlite(url):
        _begin_with(engine, "BEGIN")
    try:
        with engine.connect() as sql:
            if not _is_sqlite(url):
                sql.execution_options(postgresql_readonly=True)
            with sql.begin():
                _see_all(sql)
                yield sql
    finally:
        engine.dispose()


@contextmanager
def writing(url: URL) -> Iterator[Connection]:
    """One transaction for rows and schema alike."""
    engine = create_engine(url)
    if _is_sqlite(url):
        _begin_with(engine, "BEGIN IMMEDIATE")
    try:
        with engine.begin() as sql:
            _see_all(sql)
            yield sql
    finally:
        engine.dispose()


def _see_all(sql: Connection) -> None:
    """The rows of all tenants, which PostgreSQL shows to nobody who does not say so."""
    if sql.dialect.name == "postgresql":
        sql.exec_driver_sql("SELECT set_config(%s, %s, true)", (TENANT, EVERYONE))


def file(path: Path) -> URL:
    """A SQLite file that may be written."""
    return URL.create("sqlite", database=str(path))


def sealed(path: Path) -> URL:
    """A SQLite file that nobody writes, perhaps on a medium that nobody can write."""
    return URL.create(
        "sqlite", database=f"file:{quote(str(path.absolute()))}", query={"mode": "ro", "immutable": "1", "uri": "true"}
    )


def exists(url: URL) -> bool:
    """Whether there is something to open: SQLite would make an empty file."""
    return not _is_sqlite(url) or Path(str(url.database)).is_file()


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _begin_with(engine: Engine, statement: str) -> None:
    def begin_nothing(connection: Any, _: Any) -> None:  # Any: the driver's own objects
        # Python's driver begins no transaction for a SELECT, and ends one before it changes the schema.
        connection.isolation_level = None

    event.listen(engine, "connect", begin_nothing)
    event.listen(engine, "begin", lambda sql: sql.exec_driver_sql(statement))
