"""The ids of `/v1/events`: positions among the events of everybody, told so that nobody can count others' events.

AES-SIV (RFC 5297) of the position under a key of the tenant's: the same event has the same id each time, ids of two
tenants have nothing in common, and one that was not given out is noticed.
"""

import base64
import binascii
import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from shared import feed

# Another use of the pepper must not come to the same key.
PURPOSE = "etude event ids 1"
PREFIX = "ev_"
BEGINNING = "0"
POSITION_BYTES = 8


class EventIds:
    """Says and reads the ids of a service's events."""

    def __init__(self, pepper: str) -> None:
        self._pepper = pepper.encode()

    def say(self, tenant: str, position: int) -> str:
        """Of 0, from where everything is still to come, it is `0`."""
        if position == 0:
            return BEGINNING
        sealed = self._key(tenant).encrypt(position.to_bytes(POSITION_BYTES), None)
        return PREFIX + base64.urlsafe_b64encode(sealed).decode()

    def read(self, tenant: str, said: str, *, name: str) -> int:
        """The position. Raises InvalidRequest (`event_unknown`) for what was never told to this tenant."""
        if said == BEGINNING:
            return 0
        try:
            sealed = base64.b64decode(said.removeprefix(PREFIX), altchars=b"-_", validate=True)
            return int.from_bytes(self._key(tenant).decrypt(sealed, None))
        except (InvalidTag, binascii.Error, ValueError) as cause:
            raise feed.unknown(name=name) from cause

    def _key(self, tenant: str) -> AESSIV:
        # 64 bytes: the two halves that AES-256-SIV asks for.
        return AESSIV(hmac.digest(self._pepper, f"{PURPOSE}\n{tenant}".encode(), hashlib.sha512))
