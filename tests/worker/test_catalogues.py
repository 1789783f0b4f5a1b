"""A catalogue holds what is known of a dataset's tracks, learns what becomes known, and goes when it must."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection

from shared import datasets
from shared.database import Database
from shared.errors import EtudeError, NotAllowedNow, Unavailable
from shared.storage import Storage
from tests.heard import change, contents_of, hear, make_audio, random_means
from worker import catalogues
from worker.catalogues import Catalogues, Held
from worker.extractors import EMBEDDING
from worker.neighbours import unit

KEYS = [f"t{number}" for number in range(8)]


@pytest.fixture
def held(storage: Storage, tmp_path: Path) -> Catalogues:
    (tmp_path / "loading").mkdir()
    return Catalogues(storage, tmp_path / "loading")


def find(held: Catalogues, database: Database, tenant: str, dataset: str) -> Held:
    with database.reading() as sql:
        return held.find(sql, datasets.find(sql, tenant, dataset))


def heard(found: Held) -> list[str]:
    """The keys of the tracks that have a vector, in order."""
    return [key for key, vector in zip(found.catalogue.keys, found.catalogue.vectors, strict=True) if vector.any()]


def test_a_track_is_both_means_one_after_the_other_with_length_one(
    held: Catalogues, database: Database, storage: Storage, tenant: str
) -> None:
    dataset, means = make_audio(database, storage, tenant, KEYS), random_means(8)
    hear(database, tenant, contents_of(KEYS), means)

    found = find(held, database, tenant, dataset)

    assert (found.catalogue.keys, found.heard) == (KEYS, 8)
    np.testing.assert_allclose(found.catalogue.vectors, unit(means), atol=1e-6)
    assert found.catalogue.vectors.dtype == np.float32


def test_the_manifest_is_there_as_it_was_written_and_nothing_of_ours(
    held: Catalogues, database: Database, storage: Storage, tenant: str
) -> None:
    columns = {
        "genre": ["rock", None, "jazz", "rock", "", "pop", "rock", None],
        "title": [f"Étude № {number}" for number in range(8)],
        "year": [1993, None, *range(2000, 2006)],
        "mood": [0.5, None, float("nan"), 1.0, 2.0, -3.5, 4.0, 5.0],
        "live": [True, False, None, True, True, False, False, None],
        "notes": [None] * 8,
    }
    dataset = make_audio(database, storage, tenant, KEYS, columns=columns, part_rows=3)

    found = find(held, database, tenant, dataset)

    assert list(found.columns) == ["file", *columns]
    assert found.places == {key: place for place, key in enumerate(KEYS)}
    for name, cells in columns.items():
        assert repr(found.columns[name]) == repr(cells), name
    assert found.columns.row(7) == {"file": "t7.wav", **{name: cells[7] for name, cells in columns.items()}}
    with pytest.raises(KeyError):
        found.columns["etude.key"]


@pytest.mark.parametrize("extractors", [EMBEDDING[:1], EMBEDDING[1:]])
def test_a_track_that_only_one_network_has_heard_is_not_heard(
    held: Catalogues, database: Database, storage: Storage, tenant: str, extractors: Sequence[str]
) -> None:
    dataset, contents, means = make_audio(database, storage, tenant, KEYS), contents_of(KEYS), random_means(8)
    hear(database, tenant, contents[:4], means[:4])
    hear(database, tenant, contents[4:], means[4:], extractors)

    found = find(held, database, tenant, dataset)

    assert (heard(found), found.heard) == (KEYS[:4], 4)


def test_what_becomes_known_later_is_learnt_without_reading_the_table_again(
    held: Catalogues, database: Database, storage: Storage, tenant: str
) -> None:
    dataset, contents, means = make_audio(database, storage, tenant, KEYS), contents_of(KEYS), random_means(8)
    told = [find(held, database, tenant, dataset).heard]
    storage.delete_folder(f"t/{tenant}/datasets/{dataset}/")

    hear(database, tenant, contents[:3], means[:3])
    told.append(find(held, database, tenant, dataset).heard)
    hear(database, tenant, contents[3:], means[3:], EMBEDDING[:1])
    told.append(find(held, database, tenant, dataset).heard)
    hear(database, tenant, contents[3:], means[3:], EMBEDDING[1:])
    found = find(held, database, tenant, dataset)

    assert [*told, found.heard] == [0, 3, 3, 8]
    np.testing.assert_allclose(found.catalogue.vectors, unit(means), atol=1e-6)


def test_the_same_recording_under_two_keys_is_known_for_both(
    held: Catalogues, database: Database, storage: Storage, tenant: str
) -> None:
    one, two = contents_of(["one", "two"])
    dataset = make_audio(database, storage, tenant, ["a", "b", "c"], contents=[one, two, one])
    hear(database, tenant, [one], random_means(1))

    found = find(held, database, tenant, dataset)

    assert (heard(found), found.heard) == (["a", "c"], 2)


def test_a_track_that_cannot_be_used_is_not_heard_even_where_its_recording_is(
    held: Catalogues, database: Database, storage: Storage, tenant: str
) -> None:
    dataset = make_audio(database, storage, tenant, KEYS, faulty=["t1", "t6"])
    hear(database, tenant, contents_of(KEYS), random_means(8))

    found = find(held, database, tenant, dataset)

    assert (heard(found), found.heard) == (["t0", "t2", "t3", "t4", "t5", "t7"], 6)


def test_a_database_that_goes_away_half_way_is_asked_for_the_rest(
    held: Catalogues, database: Database, storage: Storage, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.features.AT_ONCE", 3)
    dataset = make_audio(database, storage, tenant, KEYS)
    hear(database, tenant, contents_of(KEYS), random_means(8))
    fill, seen = catalogues._fill, list[Sequence[str]]()

    def away(sql: Connection, of: str, found: Held, contents: Sequence[str]) -> None:
        seen.append(contents)
        if len(seen) == 2:
            raise Unavailable()
        fill(sql, of, found, contents)

    monkeypatch.setattr(catalogues, "_fill", away)

    with pytest.raises(Unavailable):
        find(held, database, tenant, dataset)

    assert find(held, database, tenant, dataset).heard == 8
    # And once more there is nothing to ask.
    asked = len(seen)
    find(held, database, tenant, dataset)
    assert len(seen) == asked


def test_while_nothing_new_is_known_of_many_tracks_they_are_only_counted(
    held: Catalogues, database: Database, storage: Storage, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.features.AT_ONCE", 3)
    dataset, contents, means = make_audio(database, storage, tenant, KEYS), contents_of(KEYS), random_means(8)
    hear(database, tenant, contents[:2], means[:2])
    find(held, database, tenant, dataset)
    monkeypatch.setattr(catalogues, "_fill", lambda *_: pytest.fail("looked for what is not there"))

    assert find(held, database, tenant, dataset).heard == 2

    monkeypatch.undo()
    hear(database, tenant, contents[2:], means[2:])
    assert find(held, database, tenant, dataset).heard == 8


def test_what_another_tenant_has_heard_is_not_known(
    held: Catalogues, database: Database, storage: Storage, tenant: str, other: str
) -> None:
    dataset = make_audio(database, storage, tenant, KEYS)
    hear(database, other, contents_of(KEYS), random_means(8))

    assert find(held, database, tenant, dataset).heard == 0


def test_a_mean_that_no_angle_can_be_taken_of_counts_as_not_heard(
    held: Catalogues, database: Database, storage: Storage, tenant: str
) -> None:
    dataset, means = make_audio(database, storage, tenant, KEYS), random_means(8)
    means[2], means[5, 17], means[6, 300] = 0, np.nan, np.inf
    hear(database, tenant, contents_of(KEYS), means)

    found = find(held, database, tenant, dataset)

    assert (heard(found), found.heard) == (["t0", "t1", "t3", "t4", "t7"], 5)


def test_more_tracks_than_one_look_into_sql_takes_are_all_known(
    held: Catalogues, database: Database, storage: Storage, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.features.AT_ONCE", 3)
    dataset, means = make_audio(database, storage, tenant, KEYS, part_rows=5), random_means(8)
    hear(database, tenant, contents_of(KEYS), means)

    np.testing.assert_allclose(find(held, database, tenant, dataset).catalogue.vectors, unit(means), atol=1e-6)


def test_the_ones_that_were_not_asked_for_longest_go_first(
    held: Catalogues, database: Database, storage: Storage, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [make_audio(database, storage, tenant, KEYS) for _ in range(4)]
    size = find(held, database, tenant, made[0]).size_bytes
    assert size > 8 * 400 * 4
    # They differ by some bytes of their keys at the most.
    monkeypatch.setattr(catalogues, "MOST_BYTES", int(3.5 * size))

    for dataset in (made[1], made[2], made[0], made[3]):
        find(held, database, tenant, dataset)

    assert held.held() == [made[2], made[0], made[3]]
    assert find(held, database, tenant, made[1]).catalogue.keys == KEYS
    assert held.held() == [made[0], made[3], made[1]]


def test_one_that_would_take_all_the_memory_is_refused_and_the_others_stay(
    held: Catalogues, database: Database, storage: Storage, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = make_audio(database, storage, tenant, KEYS)
    large = make_audio(database, storage, tenant, KEYS, name="large", columns={"text": ["x" * 10_000] * 7 + ["y"]})
    wide = make_audio(database, storage, tenant, KEYS, columns={"text": [f"{n}" * 10_000 for n in range(8)]})
    monkeypatch.setattr(catalogues, "MOST_BYTES", 60_000)
    find(held, database, tenant, small)

    # A text that seven tracks share is held once.
    find(held, database, tenant, large)
    with pytest.raises(NotAllowedNow, match="more than 60,000 bytes") as told:
        find(held, database, tenant, wide)

    assert told.value.code == "catalogue_too_large"
    assert held.held() == [small, large]


def test_the_erased_go_whether_or_not_they_are_asked_for(
    held: Catalogues, database: Database, storage: Storage, tenant: str
) -> None:
    kept, erased = (make_audio(database, storage, tenant, KEYS) for _ in range(2))
    for dataset in (kept, erased):
        find(held, database, tenant, dataset)

    with database.transaction() as sql:
        datasets.erase(sql, tenant, erased)
    with database.reading() as sql:
        held.drop_erased(sql)

    assert held.held() == [kept]
    held.drop(kept)
    assert held.held() == []
    with database.reading() as sql:
        held.drop_erased(sql)


def test_a_track_that_was_erased_from_it_is_gone_from_memory(
    held: Catalogues, database: Database, storage: Storage, tenant: str
) -> None:
    dataset, left = make_audio(database, storage, tenant, KEYS), make_audio(database, storage, tenant, KEYS[1:])
    find(held, database, tenant, dataset)
    with database.reading() as sql:
        parts = datasets.find(sql, tenant, left).parts
    change(database, dataset, parts=parts, sha256="1" * 64)

    asked = find(held, database, tenant, dataset).catalogue.keys
    change(database, dataset, sha256="2" * 64)
    with database.reading() as sql:
        held.drop_erased(sql)

    assert asked == KEYS[1:]
    assert held.held() == []


def test_a_damaged_table_is_told_and_so_is_a_missing_one_and_nothing_is_left_behind(
    held: Catalogues, database: Database, storage: Storage, tenant: str, tmp_path: Path
) -> None:
    dataset = make_audio(database, storage, tenant, KEYS)
    with database.reading() as sql:
        row = datasets.find(sql, tenant, dataset)
    content = storage.get(row.parts[0]["key"])

    storage.put(row.parts[0]["key"], [content[:-1] + b"x"])
    with pytest.raises(EtudeError) as damaged:
        find(held, database, tenant, dataset)
    storage.delete(row.parts[0]["key"])
    with pytest.raises(Unavailable) as missing:
        find(held, database, tenant, dataset)
    storage.put(row.parts[0]["key"], [content])

    assert (damaged.value.code, missing.value.code) == ("integrity", "file_missing")
    assert find(held, database, tenant, dataset).catalogue.keys == KEYS
    assert list((tmp_path / "loading").iterdir()) == []


def test_a_dataset_that_is_not_ready_any_more_is_not_held(
    held: Catalogues, database: Database, storage: Storage, tenant: str
) -> None:
    dataset = make_audio(database, storage, tenant, KEYS)
    find(held, database, tenant, dataset)
    change(database, dataset, state="ingesting")

    with database.reading() as sql:
        held.drop_erased(sql)

    assert held.held() == []
