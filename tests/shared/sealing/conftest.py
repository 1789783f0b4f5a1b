"""Key stores on both databases, and other processes' views of them."""

from collections.abc import Callable, Iterator

import pytest

from shared.sealing.key_store import KeyStore
from shared.settings import Settings

Open = Callable[..., KeyStore]


@pytest.fixture
def open_store(settings: Settings) -> Iterator[Open]:
    """Opens the key store of these settings, as another process does."""
    opened: list[KeyStore] = []

    def open_it(chosen: Settings = settings, plain: tuple[str, ...] = ()) -> KeyStore:
        made = KeyStore(chosen)
        opened.append(made)
        made.open(lambda: plain, lambda: None)
        return made

    yield open_it
    for each in opened:
        each.close()


@pytest.fixture
def keys(open_store: Open) -> KeyStore:
    return open_store()
