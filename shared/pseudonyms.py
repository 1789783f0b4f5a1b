"""Keyed pseudonyms of users, and of rows: the same for all versions of a dataset's name, undone by nobody who lacks the
pepper.
"""

import functools
import hashlib
import hmac
import re

# Another use of the pepper must not come to the same key.
PURPOSE = "etude pseudonyms 1"
OF_ROWS = "etude pseudonyms of rows 1"
PREFIX = "p-"
ROW_PREFIX = "r-"
HEX_DIGITS = 32
_SHAPE = re.compile(rf"{PREFIX}[0-9a-f]{{{HEX_DIGITS}}}")


def of(settings_pepper: str, tenant: str, dataset_name: str, user: str) -> str:
    """The pseudonym of a user in the datasets of this name; a pseudonym stays as it is."""
    # Even without a pepper a pseudonym stays one.
    if is_pseudonym(user):
        return user
    return keyed(key_of(settings_pepper, tenant, dataset_name), user)


def keyed(key: bytes, user: str) -> str:
    """As `of`, where the key is there already and the pepper is not."""
    if is_pseudonym(user):
        return user
    return PREFIX + _digits(key, user)


def of_row(pepper: str, tenant: str, dataset_name: str, row_key: str) -> str:
    """The pseudonym of a row, or a recording, by its key in the datasets of this name."""
    return ROW_PREFIX + _digits(key_of(pepper, tenant, dataset_name, OF_ROWS), row_key)


def _digits(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()[:HEX_DIGITS]


def is_pseudonym(text: str) -> bool:
    """Whether a user's id has the shape of a pseudonym."""
    return _SHAPE.fullmatch(text) is not None


@functools.lru_cache(maxsize=64)
def key_of(pepper: str, tenant: str, dataset_name: str, purpose: str = PURPOSE) -> bytes:
    """The key of the users of a dataset's name, or of its rows, and of no other. Raises ValueError without a pepper."""
    if not pepper:
        raise ValueError("expected a pepper: without a secret a pseudonym hides nothing")
    # No part holds a line break, so no two sets of parts read alike.
    said = "\n".join([purpose, tenant, dataset_name])
    return hmac.digest(pepper.encode(), said.encode(), hashlib.sha256)
