"""Which column of a file says who, what, how much, when and where: as the client says, else by usual names."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import Fault
from worker.formats.source import rejection

USER, ITEM, WEIGHT, TIME, CONTEXT = "user", "item", "weight", "time", "context"
ROLES = (USER, ITEM, WEIGHT, TIME, CONTEXT)
# In the order in which they are looked for.
NAMES: dict[str, tuple[str, ...]] = {
    USER: (
        "user", "user_id", "userid", "listener", "listener_id", "customer", "customer_id", "member", "member_id",
        "account", "account_id", "profile_id", "visitor", "visitor_id",
    ),
    ITEM: (
        "item", "item_id", "itemid", "track", "track_id", "trackid", "song", "song_id", "recording", "recording_id",
        "isrc", "release", "release_id", "album", "album_id", "artist", "artist_id", "artistid", "product",
        "product_id", "movie", "movie_id", "movieid", "title",
    ),
    WEIGHT: (
        "weight", "plays", "play_count", "playcount", "count", "listens", "rating", "quantity", "strength", "score",
    ),
    TIME: (
        "time", "timestamp", "played_at", "listened_at", "date", "datetime", "created_at", "added_at", "purchased_at",
        "ts", "at",
    ),
    CONTEXT: ("context", "playlist", "playlist_id", "session", "session_id", "device", "channel", "source"),
}  # fmt: skip
# Of the item table, if no column is called as the items of the interactions are.
ITEM_KEYS = (*NAMES[ITEM][:11], "id", "key")

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class Roles:
    """The column of each role, None where there is none; and which of them nobody has named."""

    columns: dict[str, str | None]
    inferred: dict[str, str]
    # Neither named nor known by its name: the first column, or the second.
    guessed: list[str]

    def named(self) -> dict[str, str]:
        """The roles that a column has."""
        return {role: name for role, name in self.columns.items() if name is not None}


def assign(names: Sequence[str], given: Mapping[str, Any]) -> Roles:  # Any: what the client has sent
    """The role of each column but those to `drop`. Raises JobFailed for every named one that is not there."""
    columns: dict[str, str | None] = {role: given.get(role) for role in ROLES}
    named = [*columns.items(), *(("drop", name) for name in given.get("drop", ()))]
    faults = [*_absent(named, names), *_doubled(named)]
    if faults:
        raise rejection(faults, len(faults))
    names = [name for name in names if name not in given.get("drop", ())]
    inferred: dict[str, str] = {}
    for role in ROLES:
        if columns[role] is None and (found := _by_name(role, names, columns)) is not None:
            columns[role] = inferred[role] = found
    guessed = [role for role in (USER, ITEM) if columns[role] is None]
    for role in guessed:
        columns[role] = _next(names, columns)
    return Roles(columns, inferred, guessed)


def item_key(names: Sequence[str], item: str | None) -> str:
    """The column of an item table that names the item: as the interactions do, by usual names, or the first."""
    if item in names:
        return str(item)
    lowered = {name.lower(): name for name in reversed(names)}
    return next((lowered[word] for word in ITEM_KEYS if word in lowered), names[0])


def _by_name(role: str, names: Sequence[str], columns: Mapping[str, str | None]) -> str | None:
    free = {name.lower(): name for name in reversed(names) if name not in columns.values()}
    return next((free[word] for word in NAMES[role] if word in free), None)


def _next(names: Sequence[str], columns: Mapping[str, str | None]) -> str:
    free = [name for name in names if name not in columns.values()]
    if not free:
        said = f"expected a column of users and one of items, received {', '.join(map(repr, names))} alone"
        raise rejection([Fault(said, code="column_missing")], 1)
    return free[0]


def _absent(given: Sequence[tuple[str, str | None]], names: Sequence[str]) -> Iterator[Fault]:
    lowered = {name.lower(): name for name in names}
    for role, name in given:
        if name is None or name in names:
            continue
        near = difflib.get_close_matches(name.lower(), lowered, n=1)
        hint = f"did you mean {lowered[near[0]]!r}?" if near else f"the columns are {', '.join(names[:20])}"
        said = f"expected a column of the interactions, received {name!r}: {hint}"
        yield Fault(said, pointer=f"/columns/{role}", column=name, code="column_missing")


def _doubled(given: Sequence[tuple[str, str | None]]) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for role, name in given:
        if name in first:
            said = f"expected one role for each column, received {first[name]} and {role} for {name!r}"
            yield Fault(said, pointer=f"/columns/{role}", column=name, code="column_roles")
        elif name is not None:
            first[name] = role
