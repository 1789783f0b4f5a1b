"""The signature of a manifest: who has the pepper can tell that this service wrote it, and nobody else can sign."""

import hashlib
import hmac

# Another use of the pepper must not come to the same key.
PURPOSE = "etude manifests 1"


def sign(pepper: str, manifest: bytes) -> str:
    """HMAC-SHA256 of the manifest's bytes, as 64 hexadecimal digits."""
    if not pepper:
        raise ValueError("expected a pepper: without a secret everybody could sign")
    key = hmac.digest(pepper.encode(), PURPOSE.encode(), hashlib.sha256)
    return hmac.digest(key, manifest, hashlib.sha256).hex()


def is_ours(pepper: str, manifest: bytes, signature: str) -> bool:
    """Whether this service signed these bytes; in constant time."""
    return hmac.compare_digest(sign(pepper, manifest).encode(), signature.encode())
