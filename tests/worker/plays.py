"""Plays of listeners with known tastes: latent factors, artists of a genre, and a few items that everybody knows."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from worker.interactions.stored import Interactions, empty_catalogue
from worker.tables import Texts

GENRES = ("ambient", "baroque", "cumbia", "dub", "electro", "folk", "gospel", "house")
LICENCES = ("cc-by", "cc0", "all rights reserved")
# 1 January 2024, and a year.
BEGIN_S, SPAN_S = 1_704_067_200.0, 366 * 86_400.0


@dataclass(frozen=True)
class Plays:
    """Rows user, item, plays, time in the order of time; and what is known of items and of tastes."""

    user: list[str]
    item: list[str]
    plays: np.ndarray  # int64 (rows,)
    time: np.ndarray  # float64 (rows,), seconds since 1970, whole
    items: dict[str, list[Any]]  # item, artist, tags, licence, released; a row an item, also of those never played
    taste: np.ndarray = field(repr=False)  # float64 (users, genres): how likely each genre is to a listener
    genre: np.ndarray = field(repr=False)  # int64 (items,): the one that an item is of


def make(users: int, items: int, *, events_a_user: int = 30, seed: int = 0, zipf: float = 0.8) -> Plays:
    """Plays of `users` listeners among `items`; the same seed makes the same.

    Each listener likes a few genres; within a genre an item is played the oftener the more popular it is
    (1 / rank ** zipf), and of a listener's artists more than one song.
    """
    random = np.random.default_rng(seed)
    genre = random.integers(0, len(GENRES), items)
    popularity = 1.0 / np.arange(1, items + 1) ** zipf
    taste = random.dirichlet(np.full(len(GENRES), 0.25), users)
    columns: list[tuple[np.ndarray, ...]] = []
    for listener in range(users):
        weight = popularity * (taste[listener][genre] + 0.005)
        count = max(1, int(random.poisson(events_a_user)))
        chosen = random.choice(items, count, p=weight / weight.sum())
        plays = 1 + random.geometric(0.4, count)
        moments = BEGIN_S + np.floor(np.sort(random.random(count)) * SPAN_S)
        columns.append((np.full(count, listener), chosen, plays, moments))
    user, item, plays, time = (np.concatenate(each) for each in zip(*columns, strict=True))
    order = np.argsort(time, kind="stable")
    return Plays(
        [user_name(place) for place in user[order]], [item_name(place) for place in item[order]],
        plays[order].astype(np.int64), time[order], _table(genre, random), taste, genre,
    )  # fmt: skip


def user_name(place: int) -> str:
    return f"u{place:05d}"


def item_name(place: int) -> str:
    return f"i{place:05d}"


def _table(genre: np.ndarray, random: np.random.Generator) -> dict[str, list[Any]]:
    """Some five items an artist, all of one genre; released in whole days, the newest in 2023."""
    artists = [f"{GENRES[each]} artist {random.integers(0, max(1, len(genre) // 40))}" for each in genre]
    days = np.datetime64("2000-01-01") + random.integers(0, 8700, len(genre)).astype("timedelta64[D]")
    return {
        "item": [item_name(place) for place in range(len(genre))],
        "artist": artists,
        "tags": [f"{GENRES[each]}|{random.choice(['live', 'studio', 'remix'])}" for each in genre],
        "licence": [LICENCES[place] for place in random.integers(0, len(LICENCES), len(genre))],
        "released": [str(day) for day in days],
    }


def as_csv(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """Columns of equal length under a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def events(plays: Plays, *, time: bool = True) -> dict[str, Sequence[Any]]:
    """The columns of the interactions, as `as_csv` takes them."""
    columns: dict[str, Sequence[Any]] = {"user": plays.user, "item": plays.item, "plays": plays.plays.tolist()}
    return {**columns, "time": plays.time.astype(np.int64).tolist()} if time else columns


def interactions(
    plays: Plays, *, time: bool = True, catalogue: bool = True, context: Sequence[str] | None = None
) -> Interactions:
    """What an ingest makes of these plays, for tests of what reads it."""
    users, user = np.unique(plays.user, return_inverse=True)
    names = np.array(plays.items["item"]) if catalogue else np.unique(plays.item)
    item = np.searchsorted(names, plays.item)
    order = np.lexsort((item, plays.time, user)) if time else np.lexsort((item, user))
    words, codes = np.unique(list(context or [""]), return_inverse=True)
    return Interactions(
        users=users.tolist(),
        items=names.tolist(),
        user=user[order].astype(np.int32),
        item=item[order].astype(np.int32),
        weight=plays.plays[order].astype(np.float64),
        time=plays.time[order] if time else None,
        context=Texts(words.tolist(), codes[order].astype(np.int32)) if context is not None else None,
        catalogue=_catalogue(plays) if catalogue else empty_catalogue(len(names)),
        listed=np.ones(len(names), bool) if catalogue else None,
    )


def _catalogue(plays: Plays) -> pa.Table:
    return pa.table({name: column for name, column in plays.items.items() if name != "item"})
