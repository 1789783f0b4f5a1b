"""Which column is what: as the client says, by usual names, or by where it stands."""

from typing import Any

import pytest

from shared.errors import JobFailed
from worker.interactions import roles


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["user", "item", "weight", "time", "context"], ["user", "item", "weight", "time", "context"]),
        (["userID", "artistID", "plays"], ["userID", "artistID", "plays", None, None]),
        (["userid", "timestamp", "artist", "track"], ["userid", "track", None, "timestamp", None]),
        (["movieId", "userId", "rating", "timestamp"], ["userId", "movieId", "rating", "timestamp", None]),
        (["played_at", "listener", "song", "playlist"], ["listener", "song", None, "played_at", "playlist"]),
    ],
)
def test_usual_names_tell(names: list[str], expected: list[str | None]) -> None:
    assigned = roles.assign(names, {})

    assert list(assigned.columns.values()) == expected
    assert assigned.guessed == []


def test_the_client_says_which_even_against_the_names() -> None:
    assigned = roles.assign(["user", "who", "item", "n"], {"user": "who", "weight": "n"})

    assert assigned.named() == {"user": "who", "item": "item", "weight": "n"}
    assert assigned.inferred == {"item": "item"}


def test_a_column_that_is_dropped_has_no_role_whatever_its_name() -> None:
    assigned = roles.assign(["user", "item", "date", "count"], {"drop": ["date", "count"]})

    assert assigned.named() == {"user": "user", "item": "item"}


def test_without_a_name_the_first_column_is_the_user_and_the_second_the_item() -> None:
    assigned = roles.assign(["a", "b", "c"], {})

    assert assigned.named() == {"user": "a", "item": "b"}
    assert assigned.guessed == ["user", "item"]


@pytest.mark.parametrize(
    ("names", "given", "code", "said"),
    [
        (["user", "item"], {"user": "usr"}, "column_missing", "did you mean 'user'?"),
        (["user", "item"], {"time": "when"}, "column_missing", "the columns are user, item"),
        (["user", "item"], {"user": "item", "item": "item"}, "column_roles", "received user and item for 'item'"),
        (["user", "item"], {"drop": ["date"]}, "column_missing", "the columns are user, item"),
        (["user", "item"], {"user": "item", "drop": ["item"]}, "column_roles", "received user and drop for 'item'"),
        (["user"], {}, "column_missing", "expected a column of users and one of items"),
    ],
)
def test_what_cannot_be_is_refused_by_name(names: list[str], given: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(JobFailed) as failed:
        roles.assign(names, given)

    assert failed.value.code == "dataset_rejected"
    assert [fault.code for fault in failed.value.faults] == [code]
    assert said in failed.value.faults[0].message


@pytest.mark.parametrize(
    ("names", "item", "expected"),
    [
        (["id", "song"], "song", "song"),
        (["name", "Track_ID", "id"], "what", "Track_ID"),
        (["artist", "id"], "what", "id"),
        (["name", "tags"], None, "name"),
    ],
)
def test_the_key_of_an_item_table(names: list[str], item: str | None, expected: str) -> None:
    assert roles.item_key(names, item) == expected
