"""The key that the columns of one dataset's name are hashed with: destroyed, nobody can tell whose hashes they are.

It is a row of the key store (docs/decisions/0023), wrapped by its tenant's key, and stands in no backup of the rows.
"""

import hashlib
import hmac

from shared.errors import Unavailable
from shared.storage import Storage

# Another use of the pepper, or of the row's secret, must not come to the same.
PLACES = "etude masking places 1"
HASHES = b"etude masking hashes 1"


def place(pepper: str, tenant: str, dataset_name: str) -> str:
    """Where the key lies: in the folder of its tenant, under no name that anybody could read."""
    # No part holds a line break, so no two sets of parts read alike.
    said = "\n".join([PLACES, tenant, dataset_name])
    return f"t/{tenant}/masking/{hmac.digest(pepper.encode(), said.encode(), hashlib.sha256).hex()[:32]}"


def take(storage: Storage, key_place: str) -> bytes:
    """The key, made if there is none yet. Raises Unavailable when it is destroyed at this moment."""
    store = storage.open_keys()
    found = store.find(key_place).key
    if found is None or not found.is_written:
        found = store.make(key_place)
        # No file comes here: said at once, or it would be taken for what a crash has left.
        if not store.say_written(found):
            raise Unavailable("The dataset was erased while a file came: send it again.", code="masking_ended")
    return hmac.digest(found.secret, HASHES, hashlib.sha256)


def destroy(storage: Storage, key_place: str) -> None:
    """Destroy the key; a dataset that is made under the name later gets another."""
    store = storage.open_keys()
    store.destroy(key_place)
    store.forget(key_place)
