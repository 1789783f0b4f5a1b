"""Receipts of erasures, signed with Ed25519: whoever has the public key can tell that this service wrote them.

The private key follows from the secret of the key store, which the operator's root key wraps, so that a new root key
leaves it as it is. Signed is canonical JSON: names sorted, no spaces, UTF-8, no number that is not whole.
"""

import base64
import hashlib
import hmac
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.sealing.key_rows import Store

FORM = "etude-erasure-receipt-1"
ALGORITHM = "Ed25519"
# Another use of the secret must not come to the same key.
PURPOSE = b"etude erasure receipts 1"

Json = dict[str, Any]


def canonical(receipt: Json) -> bytes:
    """The bytes that are signed."""
    return json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sign(store: Store, receipt: Json) -> str:
    """The signature of a receipt, in base64."""
    return base64.b64encode(_private(store).sign(canonical(receipt))).decode()


def public_key(store: Store) -> str:
    """The 32 bytes of the public key, in base64."""
    return base64.b64encode(_private(store).public_key().public_bytes_raw()).decode()


def is_signed(public: str, receipt: Json, signature: str) -> bool:
    """Whether a receipt is what was signed with the key that belongs to this public one."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(signature, validate=True), canonical(receipt))
    except (InvalidSignature, ValueError):
        return False
    return True


def identify(public: str) -> str:
    """A short name of a public key."""
    return hashlib.sha256(base64.b64decode(public)).hexdigest()[:16]


def _private(store: Store) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hmac.digest(store.secret, PURPOSE, hashlib.sha256))
