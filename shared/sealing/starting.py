"""Whether a process may start: it has the operator's root key, and the keys that belong to the files."""

from shared.errors import Unavailable
from shared.settings import Settings, SettingsWrong
from shared.storage import Storage


def demand(chosen: Settings) -> None:
    """Raise SettingsWrong for a root key that is missing, unusable or another store's, and for another key store.

    A database or a storage that is away is no reason: it may be there in a moment, and is asked again then.
    """
    storage = Storage(chosen)
    try:
        storage.open_keys().close()
    except Unavailable as away:
        if away.code == "keys_wrong":
            raise SettingsWrong(f"Etude cannot start.\n{away.detail}") from away
