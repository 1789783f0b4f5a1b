"""Cells of SQL under a key of their tenant's: AES-256-GCM, bound to the tenant and to what the cell holds.

A cell is text: `s1`, the tenant, and the nonce and what was sealed in base64, with points between. Its key is an object
key of the key store (docs/decisions/0023), so that it is wrapped, rotated and destroyed as those of files are.
"""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.errors import Damaged, Unavailable
from shared.sealing.segments import Tampered
from shared.sealing.wrapping import bind, unwrap, wrap

if TYPE_CHECKING:
    # Which has a database of its own, and this is a part of every database.
    from shared.sealing.key_store import KeyStore

MARK = "s1"
# Another use of the key must not come to the same.
PURPOSE = b"etude cells 1"
# A key that was destroyed elsewhere opens nothing here after so long.
CACHED_S = 5.0


class Cells:
    """Seals and opens; `open_keys` opens the key store at its first use."""

    def __init__(self, open_keys: "Callable[[], KeyStore]") -> None:
        self._open_keys, self._lock = open_keys, threading.Lock()
        self._store: KeyStore | None = None
        self._known: dict[str, tuple[bytes, float]] = {}

    def seal(self, tenant: str, what: str, text: str) -> str:
        """The cell of a tenant that holds `text`, for good a cell of `what`."""
        sealed = wrap(self._key(tenant, make=True), text.encode(), bind("cell", tenant, what))
        return f"{MARK}.{tenant}.{base64.b64encode(sealed).decode()}"

    def open(self, what: str, cell: str) -> str:
        """What a cell holds; one from before cells were sealed holds itself. Raises Damaged, Unavailable."""
        mark, _, rest = cell.partition(".")
        tenant, point, sealed = rest.partition(".")
        if mark != MARK or not point:
            return cell
        try:
            return unwrap(self._key(tenant, make=False), base64.b64decode(sealed), bind("cell", tenant, what)).decode()
        except (Tampered, ValueError) as cause:
            raise Damaged("A cell of the database was changed, or its key is another one: restore it.") from cause

    def forget(self) -> None:
        """After a fork: a thread of the parent may have held the lock."""
        self._lock = threading.Lock()

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def _key(self, tenant: str, *, make: bool) -> bytes:
        now = time.monotonic()
        with self._lock:
            known = self._known.get(tenant)
        if known is not None and known[1] > now:
            return known[0]
        key = hmac.digest(self._secret(tenant, make=make), PURPOSE, hashlib.sha256)
        with self._lock:
            self._known[tenant] = (key, now + CACHED_S)
        return key

    def _secret(self, tenant: str, *, make: bool) -> bytes:
        if self._store is None:
            self._store = self._open_keys()
        store, place = self._store, place_of(tenant)
        found = store.find(place).key
        if found is not None and found.is_written:
            return found.secret
        if not make:
            raise Damaged("The key of a cell of the database was destroyed.")
        made = store.make(place)
        # No file comes here: said at once, or it would be taken for what a crash has left.
        if not store.say_written(made):
            raise Unavailable("The tenant is being erased.", code="keys_wrong")
        return made.secret


def place_of(tenant: str) -> str:
    """Where the key lies: in the folder of its tenant, and goes with it."""
    return f"t/{tenant}/cells"
