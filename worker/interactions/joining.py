"""Makes the stored form: earlier events and new ones together, sorted, exact repeats once, users under pseudonyms."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from worker.interactions import catalogue
from worker.interactions.catalogue import ItemTable
from worker.interactions.rows import Events
from worker.interactions.stored import Interactions, empty_catalogue
from worker.tables import MISSING, Texts

Rename = Callable[[str], str]


def as_events(interactions: Interactions) -> Events:
    """The events of an earlier version."""
    return Events(
        interactions.users, interactions.items, interactions.user, interactions.item, interactions.weight,
        interactions.time, interactions.context,
    )  # fmt: skip


def join(parts: Sequence[Events], items: ItemTable | None, *, rename: Rename | None) -> tuple[Interactions, int]:
    """All parts as one; returns beside it how many events repeated another exactly, and were counted once.

    Either all parts have times or none. Only at a moment can two events be the same: without times both count.
    """
    users, user = _places([(_renamed(part.users, rename), part.user) for part in parts], [])
    names, item = _places([(part.items, part.item) for part in parts], items.items if items is not None else [])
    weight = np.concatenate([part.weight for part in parts])
    times = [part.time for part in parts if part.time is not None]
    time = np.concatenate(times) if times else None
    context = _contexts(parts)
    order = _order(user, item, weight, time, context)
    duplicates = 0
    if time is not None:
        codes = np.zeros(len(user), np.int32) if context is None else context.codes
        is_new = _is_new([each[order] for each in (user, item, weight, time, codes)])
        order, duplicates = order[is_new], int(np.count_nonzero(~is_new))
    table, listed = (empty_catalogue(len(names)), None) if items is None else catalogue.arrange(items, names)
    interactions = Interactions(
        users=users, items=names, user=user[order], item=item[order], weight=weight[order],
        time=None if time is None else time[order],
        context=None if context is None else Texts(context.words, context.codes[order]),
        catalogue=table, listed=listed,
    )  # fmt: skip
    return interactions, duplicates


def _renamed(users: Sequence[str], rename: Rename | None) -> Sequence[str]:
    return users if rename is None else [rename(user) for user in users]


def _places(parts: Sequence[tuple[Sequence[str], np.ndarray]], also: Iterable[str]) -> tuple[list[str], np.ndarray]:
    """The names that are used, sorted, with those of `also`; and of each event the place of its own."""
    met: set[str] = set(also)
    for words, codes in parts:
        met.update(words[code] for code in np.flatnonzero(np.bincount(codes, minlength=len(words))).tolist())
    names = sorted(met)
    place = {name: number for number, name in enumerate(names)}
    maps = [np.array([place.get(word, MISSING) for word in words], np.int32) for words, _ in parts]
    return names, np.concatenate([found[codes] for found, (_, codes) in zip(maps, parts, strict=True)])


def _contexts(parts: Sequence[Events]) -> Texts | None:
    """One column of contexts, empty for the events of a part without it."""
    if all(part.context is None for part in parts):
        return None
    places: dict[str, int] = {}
    columns = []
    for part in parts:
        if part.context is None:
            columns.append(np.full(len(part.user), MISSING, np.int32))
            continue
        found = [places.setdefault(word, len(places)) for word in part.context.words]
        # MISSING is the last place from the end.
        columns.append(np.array([*found, MISSING], np.int32)[part.context.codes])
    return Texts(list(places), np.concatenate(columns))


def _order(
    user: np.ndarray, item: np.ndarray, weight: np.ndarray, time: np.ndarray | None, context: Texts | None
) -> np.ndarray:
    """By user, time and item; beyond, so that repeats stand side by side."""
    if time is None:
        return np.lexsort((item, user))
    keys = [weight, item, time, user]
    return np.lexsort(keys if context is None else [context.codes, *keys])


def _is_new(columns: Sequence[np.ndarray]) -> np.ndarray:
    """False for each row that equals the one before it in all columns."""
    is_new = np.zeros(len(columns[0]), bool)
    is_new[:1] = True
    for column in columns:
        is_new[1:] |= column[1:] != column[:-1]
    return is_new
