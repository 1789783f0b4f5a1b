"""Keyed pseudonyms of users: the same for all versions of a dataset's name, and without the pepper undone by nobody."""

import functools
import hashlib
import hmac
import re

# Another use of the pepper must not come to the same key.
PURPOSE = "etude pseudonyms 1"
PREFIX = "p-"
HEX_DIGITS = 32
_SHAPE = re.compile(rf"{PREFIX}[0-9a-f]{{{HEX_DIGITS}}}")


def of(settings_pepper: str, tenant: str, dataset_name: str, user: str) -> str:
    """The pseudonym of a user in the datasets of this name; a pseudonym stays as it is."""
    if is_pseudonym(user):
        return user
    key = _key(settings_pepper, tenant, dataset_name)
    return PREFIX + hmac.digest(key, user.encode(), "sha256").hex()[:HEX_DIGITS]


def is_pseudonym(text: str) -> bool:
    """Whether a user's id has the shape of a pseudonym."""
    return _SHAPE.fullmatch(text) is not None


@functools.lru_cache(maxsize=64)
def _key(pepper: str, tenant: str, dataset_name: str) -> bytes:
    if not pepper:
        raise ValueError("expected a pepper: without a secret a pseudonym hides nothing")
    # No part holds a line break, so no two sets of parts read alike.
    said = "\n".join([PURPOSE, tenant, dataset_name])
    return hmac.digest(pepper.encode(), said.encode(), hashlib.sha256)
