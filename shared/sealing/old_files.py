"""Files from before everything was sealed: listed when the key store began, readable until they are sealed."""

import time
from collections.abc import Iterable

from sqlalchemy import func, select

from shared.sealing.key_store import KeyStore
from shared.sealing.key_tables import plain_files
from shared.storage import Storage

FILES_AT_ONCE = 500
# A reader that looked before a file had a key has opened it by then; later ones find the key, and look at the file.
SETTLE_S = 2.0


def count(keys: KeyStore) -> int:
    """How many files still lie open."""
    with keys.reading() as sql:
        return int(sql.execute(select(func.count()).select_from(plain_files)).scalar_one())


def seal_all(storage: Storage) -> Iterable[str]:
    """Seal every one of them, while everything runs; yields the place of each that is done. Said again, it goes on."""
    keys = storage.open_keys()
    last = ""
    while places := _list(keys, after=last):
        for place in places:
            keys.make(place)
        time.sleep(SETTLE_S)
        for place in places:
            storage.seal(place)
            yield place
        last = places[-1]


def _list(keys: KeyStore, *, after: str) -> list[str]:
    chosen = select(plain_files.c.place).where(plain_files.c.place > after).order_by(plain_files.c.place)
    with keys.reading() as sql:
        return list(sql.execute(chosen.limit(FILES_AT_ONCE)).scalars())
