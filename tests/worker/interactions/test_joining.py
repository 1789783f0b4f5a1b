"""Earlier and new events become one sorted whole; at a moment an exact repeat counts once."""

from typing import Any

import numpy as np
import pyarrow as pa

from shared import pseudonyms
from tests.worker.interactions.uploading import rows
from worker.interactions import joining
from worker.interactions.catalogue import ItemTable
from worker.interactions.rows import Events
from worker.tables import Texts


def events(*told: tuple[Any, ...], context: bool = False) -> Events:
    """Of (user, item, weight[, time[, context]])."""
    users, items = (list(dict.fromkeys(row[place] for row in told)) for place in (0, 1))
    time = np.array([row[3] for row in told], np.float64) if told and len(told[0]) > 3 else None
    words = list(dict.fromkeys(row[4] for row in told if row[4] is not None)) if context else []
    codes = [-1 if row[4] is None else words.index(row[4]) for row in told] if context else []
    return Events(
        users, items, np.array([users.index(row[0]) for row in told], np.int32),
        np.array([items.index(row[1]) for row in told], np.int32), np.array([row[2] for row in told], np.float64),
        time, Texts(words, np.array(codes, np.int32)) if context else None,
    )  # fmt: skip


def table(**columns: list[Any]) -> ItemTable:
    return ItemTable(columns.pop("item"), pa.table(columns) if columns else pa.table({"": [0]}).select([]))


def test_events_are_sorted_by_user_time_and_item() -> None:
    joined, duplicates = joining.join(
        [events(("b", "x", 1, 5), ("a", "y", 1, 9), ("a", "x", 1, 9), ("a", "z", 1, 3))], None, rename=None
    )

    assert rows(joined) == [("a", "z", 1, 3), ("a", "x", 1, 9), ("a", "y", 1, 9), ("b", "x", 1, 5)]
    assert (joined.users, joined.items, duplicates) == (["a", "b"], ["x", "y", "z"], 0)


def test_an_exact_repeat_at_a_moment_counts_once_wherever_it_stands() -> None:
    first = events(("a", "x", 1, 5), ("a", "x", 2, 5), ("a", "x", 1, 5), ("a", "x", 1, 6))
    second = events(("a", "x", 2, 5), ("b", "x", 1, 5))

    joined, duplicates = joining.join([first, second], None, rename=None)

    assert rows(joined) == [("a", "x", 1, 5), ("a", "x", 2, 5), ("a", "x", 1, 6), ("b", "x", 1, 5)]
    assert duplicates == 2


def test_in_another_context_it_is_another_event() -> None:
    told = events(
        ("a", "x", 1, 5, "car"), ("a", "x", 1, 5, None), ("a", "x", 1, 5, "car"), ("a", "x", 1, 5, "gym"), context=True
    )

    joined, duplicates = joining.join([told, events(("a", "x", 1, 5))], None, rename=None)

    assert sorted(rows(joined), key=str) == [
        ("a", "x", 1, 5, "car"), ("a", "x", 1, 5, "gym"), ("a", "x", 1, 5, None)
    ]  # fmt: skip
    assert duplicates == 2


def test_without_times_repeats_are_events_of_their_own() -> None:
    joined, duplicates = joining.join([events(("a", "x", 1), ("a", "x", 1))], None, rename=None)

    assert (rows(joined), duplicates) == ([("a", "x", 1), ("a", "x", 1)], 0)


def test_ids_that_no_event_has_are_forgotten_but_not_those_of_the_item_table() -> None:
    told = Events(
        ["a", "ghost"], ["x", "gone"], np.array([0], np.int32), np.array([0], np.int32), np.ones(1), None, None
    )

    joined, _ = joining.join([told], table(item=["never"], artist=["N"]), rename=None)

    assert (joined.users, joined.items) == (["a"], ["never", "x"])
    assert joined.catalogue.to_pydict() == {"artist": ["N", None]}
    assert joined.listed is not None
    assert joined.listed.tolist() == [True, False]


def test_users_are_renamed_and_pseudonyms_stay() -> None:
    known = pseudonyms.of("pepper", "ten", "plays", "a")

    def rename(user: str) -> str:
        return pseudonyms.of("pepper", "ten", "plays", user)

    joined, _ = joining.join([events((known, "x", 1)), events(("a", "y", 1), ("b", "x", 1))], None, rename=rename)

    assert joined.users == sorted([known, rename("b")])
    assert sorted(rows(joined)) == sorted([(known, "x", 1), (known, "y", 1), (rename("b"), "x", 1)])
