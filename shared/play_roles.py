"""Which column of a file of plays says who, what, how much, when and where: as the client says, else by usual names.

The door asks before anything is written, for listeners get pseudonyms there; the ingest asks again, of all files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
# Of the files of a dataset, those of the item table: items.csv, Items-2024.parquet.
ITEM_FILES = "items"
# Of the item table, if no column is called as the items of the interactions are.
ITEM_KEYS = (*NAMES[ITEM][:11], "id", "key")


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


def is_item_file(name: str) -> bool:
    """Whether a file belongs to the item table, by its name without folders."""
    return name.rpartition("/")[2].lower().startswith(ITEM_FILES)


def infer(names: Sequence[str], given: Mapping[str, Any]) -> Roles:  # Any: what the client has sent
    """The role of each column but those to `drop`; a user or an item for which no column is left has none."""
    columns: dict[str, str | None] = {role: given.get(role) for role in ROLES}
    names = [name for name in names if name not in given.get("drop", ())]
    inferred: dict[str, str] = {}
    for role in ROLES:
        if columns[role] is None and (found := _by_name(role, names, columns)) is not None:
            columns[role] = inferred[role] = found
    guessed = [role for role in (USER, ITEM) if columns[role] is None]
    for role in guessed:
        columns[role] = next((name for name in names if name not in columns.values()), None)
    return Roles(columns, inferred, guessed)


def _by_name(role: str, names: Sequence[str], columns: Mapping[str, str | None]) -> str | None:
    free = {name.lower(): name for name in reversed(names) if name not in columns.values()}
    return next((free[word] for word in NAMES[role] if word in free), None)
