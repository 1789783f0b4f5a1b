"""Cells of SQL under keys of their tenant's, bound to the tenant and to what the cell holds.

A cell is text: a mark, the tenant, and what was sealed in base64, with points between. `s1` is AES-256-GCM, another one
each time. `n1` is AES-SIV (RFC 5297), the same one each time, so that the database can tell whether two names are
equal, and nothing else of them. The keys are derived from an object key of the key store (docs/decisions/0023), so
that they are wrapped, rotated and destroyed as those of files are.
"""

import binascii
import functools
import hashlib
import hmac
import os
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from shared.errors import Damaged, Unavailable
from shared.sealing.wrapping import NONCE_BYTES, bind

if TYPE_CHECKING:
    # Which has a database of its own, and this is a part of every database.
    from shared.sealing.key_store import KeyStore

TEXT, NAME = "s1", "n1"
# Before a keyed hash, which no hash without a key begins with; both take the 64 signs that the columns have.
DIGEST = "h1."
DIGEST_DIGITS = 60
# The least that either makes of nothing: 28 bytes, 17 of a name.
_SEALED = re.compile(r"(?:s1\.[A-Za-z0-9_-]+\.[A-Za-z0-9+/]{38,}|n1\.[A-Za-z0-9_-]+\.[A-Za-z0-9+/]{23,})={0,2}")
# Two uses of one key must not come to the same.
PURPOSES = {TEXT: b"etude cells 1", NAME: b"etude names 1", DIGEST: b"etude digests 1"}
# A key that was destroyed elsewhere opens nothing here after so long.
CACHED_S = 5.0


class Ciphers(NamedTuple):
    """Of one tenant."""

    texts: AESGCM
    names: AESSIV
    digests: bytes


class Cells:
    """Seals and opens; `open_keys` opens the key store at its first use."""

    def __init__(self, open_keys: "Callable[[], KeyStore]") -> None:
        self._open_keys, self._lock = open_keys, threading.Lock()
        self._store: KeyStore | None = None
        self._known: dict[str, tuple[Ciphers, float]] = {}

    def seal(self, tenant: str, what: str, text: str) -> str:
        """The cell of a tenant that holds `text`, for good a cell of `what`."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._of(tenant, make=True).texts.encrypt(nonce, text.encode(), _bound(tenant, what))
        return f"{TEXT}.{tenant}.{_shown(nonce + sealed)}"

    def seal_name(self, tenant: str, what: str, name: str) -> str:
        """The one cell of a tenant that holds this name as a `what`."""
        # Nothing at all is a name, too, and this is why there is something before it.
        sealed = self._of(tenant, make=True).names.encrypt(b"=" + name.encode(), [_bound(tenant, what)])
        return f"{NAME}.{tenant}.{_shown(sealed)}"

    def digest(self, tenant: str, what: str, hashed: str) -> str:
        """Of a SHA-256 (a guess at what was hashed would prove itself), what only this tenant's key makes of it."""
        key = self._of(tenant, make=True).digests
        return DIGEST + hmac.digest(key, _bound(tenant, what) + hashed.encode(), hashlib.sha256).hex()[:DIGEST_DIGITS]

    def open(self, what: str, cell: str, *, whose: str | None) -> str:
        """What a cell of this tenant holds, or of whichever where None is said; one from before cells were sealed holds
        itself. Raises Damaged, Unavailable.
        """
        if not is_sealed(cell):
            return cell
        mark, tenant, shown = cell.split(".")
        if whose not in (None, tenant):
            raise Damaged("A cell of the database was moved here from another tenant's row: restore it.")
        try:
            sealed, bound = binascii.a2b_base64(shown), _bound(tenant, what)
            ciphers = self._of(tenant, make=False)
            if mark == NAME:
                return ciphers.names.decrypt(sealed, [bound])[1:].decode()
            return ciphers.texts.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound).decode()
        except (InvalidTag, ValueError) as cause:
            raise Damaged("A cell of the database was changed, or its key is another one: restore it.") from cause

    def forget(self) -> None:
        """After a fork: a thread of the parent may have held the lock."""
        self._lock = threading.Lock()

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def _of(self, tenant: str, *, make: bool) -> Ciphers:
        known = self._known.get(tenant)
        now = time.monotonic()
        if known is not None and known[1] > now:
            return known[0]
        secret = self._secret(tenant, make=make)
        ciphers = Ciphers(
            AESGCM(hmac.digest(secret, PURPOSES[TEXT], hashlib.sha256)),
            AESSIV(hmac.digest(secret, PURPOSES[NAME], hashlib.sha512)),
            hmac.digest(secret, PURPOSES[DIGEST], hashlib.sha256),
        )
        with self._lock:
            self._known[tenant] = (ciphers, now + CACHED_S)
        return ciphers

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


def is_sealed(cell: str) -> bool:
    """Whether this is a cell, and not what somebody once called something."""
    return cell[:3] in ("s1.", "n1.") and _SEALED.fullmatch(cell) is not None


def place_of(tenant: str) -> str:
    """Where the key lies: in the folder of its tenant, and goes with it."""
    return f"t/{tenant}/cells"


@functools.lru_cache(maxsize=4096)
def _bound(tenant: str, what: str) -> bytes:
    return bind("cell", tenant, what)


def _shown(sealed: bytes) -> str:
    return binascii.b2a_base64(sealed, newline=False).decode()
