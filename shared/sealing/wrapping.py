"""A key, or a short text, under another key: AES-256-GCM with what it is bound to as associated data."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.sealing.segments import Tampered

FORMAT = "etude-1"
NONCE_BYTES = 12


def bind(*parts: str) -> bytes:
    """Associated data of the format and these parts; none of them can pass for another, for none has a zero byte."""
    assert not any("\0" in part for part in parts)
    return "\0".join((FORMAT, *parts)).encode()


def wrap(key: bytes, secret: bytes, bound: bytes) -> bytes:
    # At random: one key wraps some thousands or millions, far from the 2^32 of SP 800-38D.
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, secret, bound)


def unwrap(key: bytes, wrapped: bytes, bound: bytes) -> bytes:
    """Raises Tampered unless it was wrapped under this key and bound to this."""
    try:
        return AESGCM(key).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError) as cause:
        raise Tampered from cause
