"""The key store's copy, in a folder of its own: who keeps it shorter than the rest has erased there what was erased."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy import URL, Connection, insert, make_url, select

from shared.backup import Refused, engines
from shared.backup.files import digest_of
from shared.errors import Damaged, Unavailable
from shared.objects import Objects
from shared.sealing import key_tables
from shared.sealing.key_store import KeyStore
from shared.settings import Settings
from shared.storage import Storage

KEYS = "keys.db"
ROWS_AT_ONCE = 1000


def beside(folder: Path) -> Path:
    """Where the keys of a backup lie unless it is said otherwise."""
    return folder.with_name(f"{folder.name}-keys")


def save(chosen: Settings, folder: Path) -> None:
    """Copy the keys of one moment, over an older copy; whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = folder / f"{KEYS}.draft"
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT, 0o600))
    with engines.snapshot(make_url(chosen.keys_url)) as ours, engines.writing(engines.file(draft)) as copy:
        _copy(_placed(ours), _placed(copy))
    os.sync()
    draft.replace(folder / KEYS)


def put(path: Path, target: URL) -> None:
    """Copy saved keys into a key store that has not begun; one that has stays as it is."""
    with engines.snapshot(engines.sealed(path)) as saved, engines.writing(target) as sql:
        theirs = _placed(sql)
        key_tables.make(theirs)
        if theirs.execute(select(key_tables.store.c.id)).first() is None:
            _copy(_placed(saved), theirs)


@contextmanager
def shelf(chosen: Settings, folder: Path, keys: Path) -> Iterator[Storage]:
    """The files of a backup, opened with the keys of a copy; it is copied once more, for nobody may write to it."""
    if not keys.is_file():
        raise Refused(f"There are no keys in {keys}: say where they are with --keys.")
    with tempfile.TemporaryDirectory() as scratch:
        own = f"sqlite:///{scratch}/{KEYS}"
        put(keys, make_url(own))
        opened = KeyStore(replace(chosen, keys_url=own))
        try:
            opened.open(list, lambda: None)
            yield Storage(chosen, objects=Objects(f"file://{folder.absolute()}"), keys=opened)
        except Unavailable as wrong:
            raise Refused(wrong.detail) from wrong
        finally:
            opened.close()


def store_of(chosen: Settings) -> str | None:
    """The id of the key store of these settings; None when it has not begun."""
    url = make_url(chosen.keys_url)
    if not engines.exists(url):
        return None
    with engines.snapshot(url) as sql:
        if not key_tables.are_there(sql):
            return None
        return _placed(sql).execute(select(key_tables.store.c.id)).scalar()


def find_fault(shelf: Storage, key: str, sha256: str) -> str | None:
    """What is wrong with a file of a backup that has its key."""
    try:
        is_right = digest_of(shelf.stream(key)) == sha256
    except Damaged:
        is_right = False
    except Unavailable as missing:
        if missing.code != "file_missing":
            raise
        return f"{key} is missing"
    return None if is_right else f"{key} is not what was written"


def has_key(shelf: Storage, key: str) -> bool:
    """Whether there is a key for it, or it was written before there were keys: otherwise it was erased."""
    found = shelf.open_keys().find(key)
    return found.key is not None or found.is_plain


def _copy(source: Connection, target: Connection) -> None:
    key_tables.make(target)
    for table in key_tables.metadata.sorted_tables:
        chosen = source.execute(select(table).execution_options(yield_per=ROWS_AT_ONCE))
        for some in chosen.partitions():
            target.execute(insert(table), [dict(row._mapping) for row in some])


def _placed(sql: Connection) -> Connection:
    if sql.dialect.name != "sqlite":
        return sql
    return sql.execution_options(schema_translate_map=key_tables.IN_SQLITE)
