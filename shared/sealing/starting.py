"""Whether a process may start: it has the operator's root key, and the keys that belong to the files."""

from shared.errors import Unavailable
from shared.sealing.key_store import KeyStore
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
        _stop_if_wrong(away)


def demand_before_fork(chosen: Settings) -> None:
    """As `demand`, without a look at the storage: in a fork of a process that has used obstore, obstore hangs.

    So another key store is told by the child, when it is first used.
    """
    keys = KeyStore(chosen)
    try:
        keys.check()
    except Unavailable as away:
        _stop_if_wrong(away)
    finally:
        keys.close()


def _stop_if_wrong(away: Unavailable) -> None:
    if away.code == "keys_wrong":
        raise SettingsWrong(f"Etude cannot start.\n{away.detail}") from away
