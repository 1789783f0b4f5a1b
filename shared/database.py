"""The SQL database: one engine to write, one to read, and the database's own clock. SQLite (WAL) or PostgreSQL."""

import copy
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, Engine, Float, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from shared import sealed_columns, tenancy
from shared.errors import EtudeError, Unavailable
from shared.sealing.cells import Cells
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.sealing.key_store import KeyStore

# A writer waits this long for another before the client is told to come back.
BUSY_MS = 5000
# What may be said to PostgreSQL as a tenant or a key: ids are of these signs alone, and none of them ends a literal.
PLAIN = re.compile(r"[A-Za-z0-9_-]*|\*")


class now(FunctionElement[float]):  # noqa: N801 — reads as the SQL function it is
    """The database's clock, in seconds since 1970: workers' clocks may be wrong, and leases must not care."""

    type = Float()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(*_: Any, **__: Any) -> str:
    # unixepoch('subsec') needs SQLite 3.42; Python 3.11 builds still carry 3.40. This one is exact to a millisecond.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_postgresql(*_: Any, **__: Any) -> str:
    # clock_timestamp, not now(): the latter stands still within a transaction.
    return "extract(epoch from clock_timestamp())::float8"


class Database:
    """Opens transactions; an absent, locked or full database becomes Unavailable.

    On PostgreSQL it shows no row of any tenant unless it was opened for EVERYONE (shared/tenancy.py), or is asked `of`
    one. SQLite shows all that a statement asks for. `erases` has what is deleted overwritten; `seals` goes without
    saying but for the key store, which is asked while a cell is sealed (shared/sealed_columns.py). `cells` seals what
    lies elsewhere than in a column.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        whose: str = tenancy.NOBODY,
        pool_size: int = 5,
        busy_ms: int = BUSY_MS,
        erases: bool = False,
        seals: bool = True,
    ) -> None:
        self.url = settings.database_url
        # Said to PostgreSQL at the beginning of each transaction: a setting and its value.
        self._said: tuple[str, str] | None = None
        self._options: dict[str, Any] = {}
        self._busy_ms, self._erases = busy_ms, erases
        self.is_sqlite = self.url.startswith("sqlite")
        # SQLite has one writer, and one that finds it busy sleeps ever longer before it looks again: threads of one
        # process queue here instead, each woken as soon as it is its turn.
        self._turn = self._new_turn()
        self._synchronous = settings.sqlite_synchronous
        self.cells = Cells(lambda: _open_keys(settings))
        options: dict[str, Any] = {
            "pool_size": pool_size, "max_overflow": 16, "pool_timeout": 5,
            # A third of the time of json's, and every row has several such columns.
            "json_serializer": _dump, "json_deserializer": orjson.loads,
            # An error shall not carry what the rows hold.
            "hide_parameters": True,
        }  # fmt: skip
        self._writing: Engine = create_engine(self.url, **options)
        # Reading outside a transaction halves what a status poll costs (measured: bench/RESULTS.md).
        # There is nothing to roll back when such a connection is given back.
        self._reading: Engine = create_engine(
            self.url, isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **options
        )
        if self.is_sqlite:
            for engine in (self._writing, self._reading):
                event.listen(engine, "connect", self._prepare_sqlite)
            event.listen(self._writing, "begin", _begin_immediate)
        else:
            # Loaded where it is needed: a client library of some megabytes.
            from shared import postgres

            for engine in (self._writing, self._reading):
                event.listen(engine, "do_connect", postgres.connector(whose))
        for engine in (self._writing, self._reading):
            event.listen(engine, "before_execute", tenancy.narrow, retval=True)
            if seals:
                event.listen(engine, "before_execute", sealed_columns.note)
            setattr(engine.dialect, sealed_columns.CELLS, self.cells)
        driver = self._reading.dialect.loaded_dbapi
        self._away = (driver.OperationalError, driver.InterfaceError)
        self._place = "?" if self.is_sqlite else "%s"

    def of(self, tenant: str) -> "Database":
        """The same connections, for the rows of one tenant."""
        bound = self._bound(tenancy.TENANT, tenant)
        bound._options = {} if tenant == tenancy.EVERYONE else {tenancy.OPTION: tenant}
        return bound

    def of_key(self, key_id: str) -> "Database":
        """The same connections, to read the row of one key, whosever it is."""
        return self._bound(tenancy.KEY, key_id)

    def _bound(self, name: str, value: str) -> "Database":
        if PLAIN.fullmatch(value) is None:
            raise ValueError(f"no id: {value!r}")
        bound = copy.copy(self)
        bound._said = None if self.is_sqlite else (name, value)
        return bound

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on any error."""
        with _translating(), self._turn, self._writing.begin() as sql:
            sql.execution_options(**self._options)
            if self._said is not None:
                # Until the end of the transaction, so that nobody inherits it with the connection.
                sql.exec_driver_sql("SELECT set_config(%s, %s, true)", self._said)
            yield sql

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Single statements that only read, each seeing the newest state."""
        with _translating(), self._reading.connect() as sql:
            sql.execution_options(**self._options)
            if self._said is None:
                yield sql
                return
            with _saying(sql, *self._said):
                yield sql

    def read_one(self, template: str, *values: str) -> tuple[Any, ...] | None:
        """One row by the driver alone, at a quarter of the cost: for the one question that clients ask all day.

        `template` is SQL with `{0}` where a value stands; on PostgreSQL it has to name the tenant itself, as the
        function `glance` does.
        """
        with _translating():
            connection = self._reading.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(template.format(self._place), values)
                row: tuple[Any, ...] | None = cursor.fetchone()
                cursor.close()
                return row
            except self._away as cause:
                # The next question gets a connection that is known to be whole.
                connection.invalidate(cause)
                raise Unavailable("The database is away or locked: send the request again.", retry_after_s=2) from cause
            finally:
                connection.close()

    def forget(self) -> None:
        """Drop the connections inherited through a fork without closing the parent's sockets."""
        self._writing.dispose(close=False)
        self._reading.dispose(close=False)
        # A thread of the parent may have held it at the fork.
        self._turn = self._new_turn()
        self.cells.forget()

    def truncate_log(self) -> None:
        """Have SQLite's log, which still holds what was overwritten, emptied; unless somebody reads just then."""
        if self.is_sqlite:
            with self.reading() as sql:
                sql.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close what is here now; a connection that a thread still holds is closed when it is given back."""
        for engine in (self._writing, self._reading):
            pool = engine.pool
            engine.dispose()
            event.listen(pool, "checkin", _close_late)
            # One that came back in between.
            pool.dispose()
        self.cells.close()

    def _new_turn(self) -> AbstractContextManager[object]:
        return _Turn(self._busy_ms / 1000) if self.is_sqlite else nullcontext()

    def _prepare_sqlite(self, connection: Any, _: Any) -> None:  # Any: the driver's own objects
        connection.isolation_level = None  # transactions are begun by us, see _begin_immediate
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={self._busy_ms}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={self._synchronous}")
        cursor.execute("PRAGMA foreign_keys=ON")
        if self._erases:
            # What is deleted is overwritten, not only given up.
            cursor.execute("PRAGMA secure_delete=ON")
        cursor.close()


@contextmanager
def _saying(sql: Connection, name: str, value: str) -> Iterator[None]:
    """A transaction around statements that need none but for what is said in it; each still sees the newest state."""
    # Two statements in one message, which only a message without parameters may hold: a value is PLAIN.
    _send(sql, f"BEGIN; SELECT set_config('{name}', '{value}', true)")
    try:
        yield
    finally:
        if not sql.invalidated:
            try:
                _send(sql, "ROLLBACK")
            except BaseException:
                # Whoever got this connection next would be taken for this tenant.
                sql.invalidate()
                raise


def _send(sql: Connection, statement: str) -> None:
    sql.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _close_late(connection: Any, _: Any) -> None:  # Any: the driver's own objects
    # The pool that it returns to was given up, and would leave it to the garbage collector.
    if connection is not None:
        connection.close()


def _open_keys(settings: Settings) -> "KeyStore":
    # Loaded where it is needed: it has a Database itself.
    from shared.sealing.key_store import KeyStore
    from shared.storage import Storage

    keys = KeyStore(settings)
    # Not by the storage if it can be helped: what has used it must not fork.
    return keys if keys.resume() else Storage(settings).open_keys()


def _dump(value: Any) -> str:  # Any: whatever JSON holds
    return orjson.dumps(value).decode()


class _Turn:
    """A lock that gives up where SQLite itself would."""

    def __init__(self, limit_s: float) -> None:
        self._lock, self._limit_s = threading.Lock(), limit_s

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._limit_s):
            raise Unavailable("The database is busy: send the request again.", retry_after_s=1)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _begin_immediate(sql: Connection) -> None:
    # A plain BEGIN takes the write lock at its first write and then fails at once if it had read before.
    # Said to the driver itself: SQLAlchemy's way to a cursor costs ten times the statement.
    driver: Any = sql.connection.driver_connection
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as cause:
        raise Unavailable("The database is away or locked: send the request again.", retry_after_s=2) from cause


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as cause:
        raise Unavailable("The database is busy: send the request again.", retry_after_s=1) from cause
    except (OperationalError, InterfaceError) as cause:
        raise Unavailable("The database is away or locked: send the request again.", retry_after_s=2) from cause
    except DBAPIError as cause:
        if not cause.connection_invalidated:
            raise
        raise Unavailable("The database is away: send the request again.", retry_after_s=2) from cause
    except StatementError as cause:
        # What was raised while a cell was sealed: SQLAlchemy wraps all that comes before the statement is sent.
        if isinstance(cause.orig, EtudeError):
            raise cause.orig from cause
        raise
