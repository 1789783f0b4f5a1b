"""Where wrapped keys lie, and the way from a file's place to its key; used by many threads and processes at once."""

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import IntegrityError, ProgrammingError

from shared import ids
from shared.database import Database
from shared.errors import Damaged, Unavailable
from shared.log import logger
from shared.sealing import key_rows, key_tables, root_keys
from shared.sealing.key_rows import Found, ObjectKey, Store
from shared.sealing.segments import Tampered
from shared.settings import Settings

# A key that was destroyed elsewhere opens nothing here after so long.
CACHED_S = 5.0
# Of some 300 bytes each.
CACHED_AT_MOST = 4096
# A place's first key, or its tenant's, may be made by somebody else at the same moment.
TRIES = 5
POOL_SIZE = 2
# What PostgreSQL says to a role that lacks a grant.
NOT_ADMITTED = "42501"

log = logger("keys")


@dataclass(frozen=True)
class Cached:
    key: ObjectKey
    until: float


class KeyStore:
    """One store; opened by its first use, for it may be away when a process starts."""

    def __init__(self, settings: Settings) -> None:
        self.url, self.roots = settings.keys_url, root_keys.read(settings)
        # Written down to the disk where it matters, and then by `_sync`: a commit that does it holds everybody up.
        placed = replace(settings, database_url=settings.keys_url, sqlite_synchronous="NORMAL")
        self._database = Database(placed, pool_size=POOL_SIZE, erases=True, seals=False)
        self._store: Store | None = None
        self._cache: dict[str, Cached] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, self._database.close)
        _all.add(self)

    def open(self, list_plain: Callable[[], Iterable[str]], claimed: Callable[[], str | None]) -> str:
        """Begin the store, if it has not begun: with a list of what was there before, which stays readable.

        `claimed` says which store the files say they were sealed by. Returns this one's id. Raises Unavailable
        (`keys_wrong`) when the root key is not the one of the store, or the store not the one of the files.
        """
        said = claimed()
        found = self.check()
        self._demand_own(found, said)
        self._store = self._begin(list(list_plain())) if found is None else found
        return self._store.id

    def resume(self) -> bool:
        """Open the store without a look at the files; returns whether it has begun. Raises Unavailable as `check`."""
        self._store = self.check()
        return self._store is not None

    def check(self) -> Store | None:
        """The store, if it has begun. Raises Unavailable (`keys_wrong`) when the root key is not its own."""
        _make_private(self.url)
        with self.reading() as sql:
            return self._read_store(sql) if key_tables.are_there(sql) else None

    def _begin(self, plain: list[str]) -> Store:
        with self.transaction() as sql:
            if not key_tables.are_there(sql):
                key_tables.make(sql)
            # Somebody may have been first.
            return self._read_store(sql) or key_rows.begin(sql, self.roots, ids.new("ks"), plain)

    def _demand_own(self, found: Store | None, said: str | None) -> None:
        if said is not None and (found is None or found.id != said):
            raise key_rows.wrong(
                f"The files were sealed with the keys of the store {said}, and {_shown(self.url)} is another one or "
                "empty: put back the key store that belongs to them (see docs/operations.md)."
            )

    @property
    def is_open(self) -> bool:
        return self._store is not None

    @property
    def store(self) -> Store:
        assert self._store is not None, "the key store was not opened"
        return self._store

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with _admitted(self.url), self._database.transaction() as sql:
            yield self._placed(sql)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with _admitted(self.url), self._database.reading() as sql:
            yield self._placed(sql)

    def find(self, place: str) -> Found:
        """What is known of a place. Raises Damaged for a key that was changed or moved."""
        now = time.monotonic()
        with self._lock:
            self._drop_late(now)
            cached = self._cache.get(place)
        if cached is not None:
            return Found(cached.key)
        with _telling(place), self.reading() as sql:
            found = key_rows.find(sql, self.roots, self.store, place)
        if found.key is not None and found.key.is_written and not found.is_plain:
            self._remember(place, found.key, now)
        return found

    def make(self, place: str) -> ObjectKey:
        """The key of a place, before its file is there; one that has a key keeps it."""
        return self.make_all([place])[0]

    def make_all(self, places: Sequence[str]) -> list[ObjectKey]:
        """As `make`, of several places: what is slow of it, coming to lie on the disk, is waited for once."""
        for _ in range(TRIES):
            try:
                with self.transaction() as sql:
                    made = [self._make(sql, place) for place in places]
            except IntegrityError:
                continue
            # A file whose key was lost in a power cut would be lost.
            self._sync()
            return made
        raise Unavailable("The key store is busy: send the request again.", retry_after_s=1)

    def _make(self, sql: Connection, place: str) -> ObjectKey:
        with _telling(place):
            return key_rows.make(sql, self.roots, place)

    def say_written(self, key: ObjectKey) -> bool:
        """Note that the file is there, sealed; False when its key was destroyed meanwhile."""
        return self.say_all_written([key]) == [key]

    def say_all_written(self, keys: Sequence[ObjectKey]) -> list[ObjectKey]:
        """As `say_written`, of several; returns those whose keys are still there."""
        with self.transaction() as sql:
            there = [key for key in keys if key_rows.say_written(sql, key)]
        for key in there:
            self._remember(key.place, replace(key, is_written=True), time.monotonic())
        return there

    def destroy(self, place: str) -> int:
        """Destroy the key of one file, or of all under a folder (which ends with `/`): they are erased then, wherever
        copies of them lie. Of a tenant's folder, the tenant's key as well. Returns how many.
        """
        with self.transaction() as sql:
            count = key_rows.destroy(sql, place)
        with self._lock:
            for held in [held for held in self._cache if key_rows.is_within(held, place)]:
                del self._cache[held]
        self.truncate_log()
        return count

    def forget(self, place: str) -> None:
        """Forget destroyed keys, once the files are gone."""
        with self.transaction() as sql:
            key_rows.forget(sql, place)

    def truncate_log(self) -> None:
        """Take what was destroyed out of SQLite's log as well."""
        self._database.truncate_log()

    def close(self) -> None:
        self._database.close()

    def after_fork(self) -> None:
        """In a child: the parent's connections are the parent's, and a thread of it may have held the lock."""
        self._database.forget()
        self._lock = threading.Lock()

    def _sync(self) -> None:
        """Have what was committed lie on the disk. PostgreSQL sees to it itself."""
        place = make_url(self.url)
        if place.get_backend_name() != "sqlite":
            return
        # The log alone, never the file: closing that once would give up every lock that SQLite holds on it for this
        # process, and whoever closes the store elsewhere would take the log away from under our connections. Without a
        # log there is nothing to do: whoever emptied it has written all of it down first.
        with suppress(FileNotFoundError):
            file = os.open(f"{place.database}-wal", os.O_RDONLY)
            os.fsync(file)
            os.close(file)

    def _read_store(self, sql: Connection) -> Store | None:
        try:
            found = key_rows.read_store(sql, self.roots)
            if found is not None:
                key_rows.demand_roots(sql, self.roots)
            return found
        except Tampered as cause:
            raise key_rows.wrong(f"The key store {_shown(self.url)} was changed: put it back from a copy.") from cause

    def _placed(self, sql: Connection) -> Connection:
        return sql.execution_options(schema_translate_map=key_tables.IN_SQLITE) if self._database.is_sqlite else sql

    def _remember(self, place: str, key: ObjectKey, asked_at: float) -> None:
        with self._lock:
            self._cache.pop(place, None)
            while len(self._cache) >= CACHED_AT_MOST:
                del self._cache[next(iter(self._cache))]
            self._cache[place] = Cached(key, asked_at + CACHED_S)

    def _drop_late(self, now: float) -> None:
        # In the order in which they came, and each stays as long.
        while self._cache and (oldest := next(iter(self._cache.items())))[1].until <= now:
            del self._cache[oldest[0]]


@contextmanager
def _telling(place: str) -> Iterator[None]:
    try:
        yield
    except Tampered as cause:
        log.error("key_damaged", key=place)
        raise Damaged(f"The key of the stored file {place.rpartition('/')[2]} is damaged: restore it.") from cause


@contextmanager
def _admitted(url: str) -> Iterator[None]:
    try:
        yield
    except ProgrammingError as cause:
        if getattr(cause.orig, "sqlstate", None) != NOT_ADMITTED:
            raise
        raise key_rows.wrong(
            f"The role of {_shown(url)} may not use the key store, the schema {key_tables.SCHEMA}: give it the grants "
            "of docs/operations.md, as the owner: python -m migrations.upgrade, with ETUDE_APP_DATABASE_URL. "
            "Then start again: nothing was changed."
        ) from cause


def _make_private(url: str) -> None:
    """A SQLite file with mode 600; its log and index get the same."""
    place = make_url(url)
    if place.get_backend_name() != "sqlite" or not place.database:
        return
    path = Path(place.database)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Only where it is not there yet: see `_sync` for what opening it by ourselves would do.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _shown(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)


_all: "weakref.WeakSet[KeyStore]" = weakref.WeakSet()


def _after_fork() -> None:
    for each in list(_all):
        each.after_fork()


os.register_at_fork(after_in_child=_after_fork)
