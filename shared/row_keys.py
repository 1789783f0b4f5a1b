"""How the ledger of rights names a row: by a pseudonym, and by its key, sealed under one that an erasure destroys.

A cell is text: the pseudonym (shared/pseudonyms.py), the id of the key that it is sealed under, and what was sealed, in
base64, with points between. Entries from before have the row's key as it is: nothing in the ledger is ever changed.
"""

import base64
import re
from dataclasses import dataclass

from shared import pseudonyms
from shared.errors import Damaged, Unavailable
from shared.sealing.key_rows import ObjectKey
from shared.sealing.segments import Tampered
from shared.sealing.wrapping import bind, unwrap, wrap
from shared.storage import Storage

_SEALED = re.compile(rf"({pseudonyms.ROW_PREFIX}[0-9a-f]{{{pseudonyms.HEX_DIGITS}}})\.([^.]+)\.([^.]+)")


@dataclass(frozen=True)
class RowKeys:
    """Seals and opens, with the key store and the pepper of the service."""

    storage: Storage
    pepper: str

    def identify(self, tenant: str, dataset_name: str, row_key: str) -> str:
        """The pseudonym of a row, which stays when its key is destroyed."""
        return pseudonyms.of_row(self.pepper, tenant, dataset_name, row_key)

    def seal(self, tenant: str, dataset_name: str, row_key: str) -> str:
        """The cell that names a row. Raises Unavailable while the row is being erased."""
        pseudonym = self.identify(tenant, dataset_name, row_key)
        key = self._take(place(tenant, pseudonym))
        sealed = wrap(key.secret, row_key.encode(), _bound(tenant, pseudonym))
        return f"{pseudonym}.{key.id}.{base64.b64encode(sealed).decode()}"

    def open(self, tenant: str, cell: str) -> str:
        """The key of the row, or its pseudonym once nobody can read that. Raises Damaged for a changed cell."""
        found = _SEALED.fullmatch(cell)
        if found is None:
            return cell
        pseudonym, key_id, sealed = found.groups()
        key = self.storage.open_keys().find(place(tenant, pseudonym)).key
        # A row that was erased, and is named again, has another one.
        if key is None or key.id != key_id:
            return pseudonym
        try:
            return unwrap(key.secret, base64.b64decode(sealed), _bound(tenant, pseudonym)).decode()
        except (Tampered, ValueError) as cause:
            raise Damaged("An entry of the ledger of rights was changed: restore it.") from cause

    def destroy(self, tenant: str, pseudonym: str) -> None:
        """Have nobody read any more, in no backup either, which row it was."""
        store, row_place = self.storage.open_keys(), place(tenant, pseudonym)
        store.destroy(row_place)
        store.forget(row_place)

    def _take(self, row_place: str) -> ObjectKey:
        store = self.storage.open_keys()
        found = store.find(row_place).key
        if found is None or not found.is_written:
            found = store.make(row_place)
            # No file comes here: said at once, or it would be taken for what a crash has left.
            if not store.say_written(found):
                raise Unavailable("The row is being erased: say it again.", code="keys_wrong")
        return found


def identity(cell: str) -> str:
    """By what entries about the same row are told: its pseudonym, or of entries from before its key."""
    found = _SEALED.fullmatch(cell)
    return cell if found is None else found.group(1)


def place(tenant: str, pseudonym: str) -> str:
    """Where the key of a row's key lies: in the folder of its tenant."""
    return f"t/{tenant}/rights/{pseudonym}"


def _bound(tenant: str, pseudonym: str) -> bytes:
    return bind("row key", tenant, pseudonym)
