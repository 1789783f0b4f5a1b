"""Models and listeners in memory: what they take of it, and what is too large to be there at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Row

from shared import models
from shared.errors import EtudeError, NotAllowedNow
from shared.list_params import ListParams
from shared.storage import Storage
from shared.tables import datasets as dataset_table
from tests.worker import plays as made_plays
from tests.worker.recommended import put_version, store
from worker import tastes
from worker.recommenders import splits
from worker.runner import Post
from worker.tastes import Listeners, Model, Tastes

PLAYS = made_plays.interactions(made_plays.make(60, 40, seed=5))


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return store(post, tenant, tmp_path / "plays", PLAYS)


@pytest.fixture
def version(post: Post, tenant: str, dataset: str) -> str:
    return put_version(post, tenant, dataset, PLAYS)


@pytest.fixture
def held(storage: Storage, tmp_path: Path) -> Tastes:
    (tmp_path / "loading").mkdir()
    return Tastes(storage, tmp_path / "loading")


def listeners(held: Tastes, post: Post, tenant: str, dataset: str) -> Listeners:
    with post.database.reading() as sql:
        return held.of_dataset(sql, tenant, dataset)


def model(held: Tastes, post: Post, tenant: str, version: str) -> Model:
    with post.database.reading() as sql:
        return held.model(sql, tenant, version)


def row_of(post: Post, dataset: str) -> Row[Any]:
    with post.database.reading() as sql:
        return sql.execute(dataset_table.select().where(dataset_table.c.id == dataset)).one()


@pytest.mark.parametrize("at_once", [1, 7, 100, 1_000_000])
def test_histories_are_those_of_all_events_however_many_are_read_at_once(
    held: Tastes, post: Post, tenant: str, dataset: str, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(tastes, "EVENTS_AT_ONCE", at_once)

    found = listeners(held, post, tenant, dataset)

    expected = splits.everything(PLAYS)
    for name in ("indptr", "items", "weights"):
        made = getattr(found.histories, name)
        np.testing.assert_array_equal(made, getattr(expected, name))
        assert made.dtype == getattr(expected, name).dtype
    assert (found.items, list(found.places)) == (PLAYS.items, PLAYS.users)


def test_listeners_of_whom_one_has_played_nothing_keep_their_places(
    held: Tastes, post: Post, tenant: str, tmp_path: Path
) -> None:
    plays = made_plays.interactions(made_plays.make(12, 9, seed=1))
    kept = ~np.isin(plays.user, [0, 5, 11])
    plays = type(plays)(
        plays.users, plays.items, plays.user[kept], plays.item[kept], plays.weight[kept], None, None, plays.catalogue
    )

    found = listeners(held, post, tenant, store(post, tenant, tmp_path / "few", plays))

    assert np.flatnonzero(found.histories.lengths == 0).tolist() == [0, 5, 11]
    np.testing.assert_array_equal(found.histories.indptr, splits.everything(plays).indptr)


def test_without_any_event_there_are_listeners_all_the_same(
    held: Tastes, post: Post, tenant: str, tmp_path: Path
) -> None:
    none, no_weight = np.zeros(0, np.int32), np.zeros(0)
    plays = type(PLAYS)(PLAYS.users, PLAYS.items, none, none, no_weight, None, None, PLAYS.catalogue)

    found = listeners(held, post, tenant, store(post, tenant, tmp_path / "none", plays))

    assert (len(found.histories), found.histories.lengths.sum()) == (60, 0)


def test_listeners_that_would_take_all_the_memory_are_refused_before_they_are_read(
    held: Tastes, post: Post, tenant: str, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in row_of(post, dataset).parts:
        post.storage.delete(part["key"])
    monkeypatch.setattr(tastes, "MOST_BYTES", 10_000)

    with pytest.raises(NotAllowedNow, match="bytes of memory or more, and 10,000 is the most") as told:
        listeners(held, post, tenant, dataset)

    assert told.value.code == "catalogue_too_large"
    assert not held.listeners.held


def test_names_count_too(held: Tastes, post: Post, tenant: str, dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    size = listeners(held, post, tenant, dataset).size_bytes
    held.listeners.drop(dataset)
    monkeypatch.setattr(tastes, "MOST_BYTES", size - 1)

    with pytest.raises(NotAllowedNow) as told:
        listeners(held, post, tenant, dataset)
    assert told.value.code == "catalogue_too_large"

    monkeypatch.setattr(tastes, "MOST_BYTES", size)
    assert listeners(held, post, tenant, dataset).size_bytes == size


def test_a_model_that_would_take_all_the_memory_is_refused_before_it_is_read(
    held: Tastes, post: Post, tenant: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with post.database.reading() as sql:
        files = models.find_by_id(sql, version).files
    for file in files:
        post.storage.delete(file["key"])
    monkeypatch.setattr(tastes, "MOST_BYTES", 1_000)

    with pytest.raises(NotAllowedNow) as told:
        model(held, post, tenant, version)

    assert told.value.code == "catalogue_too_large"
    assert not held.models.held


def test_what_a_model_was_asked_for_counts(held: Tastes, post: Post, tenant: str, version: str) -> None:
    found = model(held, post, tenant, version)
    alone = found.size_bytes

    found.ruled(ListParams(min_listeners=1))
    ruled = found.size_bytes
    found.ruled(ListParams.model_validate({"filters": {"deny": {"tags": ["live"]}}, "cap": {"column": "artist"}}))

    assert ruled - alone == 5 * 40
    # Two columns of labels, each of a place and a one or two an item, beside the rules of 40.
    assert found.size_bytes - ruled > 5 * 40 + 2 * 40 * 12
    assert set(found.labels) == {"tags", "artist"}


def test_rules_leave_before_a_model_does(
    held: Tastes, post: Post, tenant: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = model(held, post, tenant, version)
    monkeypatch.setattr(tastes, "MOST_BYTES", found.size_bytes + 3 * 5 * 40)

    for least in range(1, 8):
        found.ruled(ListParams(min_listeners=least))

    assert len(found.rules) == 3
    assert list(held.models.held) == [version]


def test_others_leave_where_one_has_grown(
    held: Tastes, post: Post, tenant: str, dataset: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = model(held, post, tenant, version)
    held.models.held = type(held.models.held)({"older": Model(first.learned), version: first})
    monkeypatch.setattr(tastes, "MOST_BYTES", 2 * first.size_bytes + 100)
    first.ruled(ListParams(min_listeners=1))

    model(held, post, tenant, version)

    assert list(held.models.held) == [version]


def test_events_that_are_not_what_was_written_are_refused(held: Tastes, post: Post, tenant: str, dataset: str) -> None:
    events = row_of(post, dataset).parts[0]
    post.storage.put(events["key"], [b"something else"])

    with pytest.raises(EtudeError) as told:
        listeners(held, post, tenant, dataset)
    assert told.value.code == "integrity"
