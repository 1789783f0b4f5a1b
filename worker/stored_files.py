"""Whole files out of storage, as they were written or not at all."""

import hashlib
from typing import Any

from shared.errors import EtudeError
from shared.storage import Storage


def get(storage: Storage, file: dict[str, Any]) -> bytes:
    """The bytes of a file that SQL names. Raises EtudeError (integrity) when they are others."""
    content = storage.get(file["key"])
    if hashlib.sha256(content).hexdigest() != file["sha256"]:
        raise EtudeError(f"The stored file {file['name']} is not what was written: restore it.", code="integrity")
    return content
