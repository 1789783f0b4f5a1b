"""Datasets of interactions, by a real child and on both databases: read, joined, told, and their uploads let go of."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import update

from shared import datasets, jobs, pseudonyms
from shared import storage as places
from shared.containment import tier
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import datasets as dataset_table
from tests.worker import erased, plays, working
from tests.worker.interactions import uploading
from tests.worker.interactions.uploading import as_it_lies, ingest, loaded, parquet, rows
from worker import leftovers, runner
from worker.runner import Post

Json = dict[str, Any]

PLAYS = b"user,item,plays,time\nb,x,1,2024-01-01\na,y,2,2024-01-02\na,x,3,2024-01-01\n"
FIRST, SECOND = 1_704_067_200.0, 1_704_153_600.0
# Files of a row whose cells have slipped.
MISTAKEN = {
    "plays": b"user,item,plays\nbob,x,1\nbob,y,1\nx,1,alice@x.com\n",
    "time": b"user,item,time\nbob,x,1\nbob,y,1\nx,1,alice@x.com\n",
}


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


def codes(row: Any) -> list[str]:
    return [each["code"] for each in row.profile["warnings"]]


def refusal(post: Post, tenant: str, files: dict[str, bytes], **rest: Any) -> Json:
    """What the failed ingest says of these files."""
    row, job = ingest(post, tenant, files, **rest)
    assert (row.state, job.state) == (datasets.REJECTED, jobs.FAILED)
    assert job.error["code"] == "dataset_rejected"
    return dict(job.error)


def test_a_csv_becomes_a_dataset(post: Post, tenant: str, tmp_path: Path) -> None:
    row, job = ingest(post, tenant, {"plays.csv": PLAYS})

    assert job.state == jobs.SUCCEEDED, job.error
    assert (row.state, row.rows) == (datasets.READY, 3)
    assert [part["name"] for part in row.parts] == ["events.parquet", "users.parquet", "items.parquet"]
    assert rows(loaded(post, row, tmp_path)) == [("a", "x", 3, FIRST), ("a", "y", 2, SECOND), ("b", "x", 1, FIRST)]
    assert row.profile["roles"] == {"user": "user", "item": "item", "weight": "plays", "time": "time", "context": None}
    assert row.profile["columns"] == []
    said = row.profile["interactions"]
    assert (said["users"], said["items"], said["events"], said["pseudonyms"]) == (2, 2, 3, True)
    assert (said["left_out"], said["faults"], said["faults_total"]) == ({}, [], 0)
    assert codes(row) == ["columns_inferred", "mostly_cold_users"]
    assert job.result == {
        "dataset": row.id, "rows": 3, "users": 2, "items": 2, "warnings": row.profile["warnings"],
        "decoded_within": tier.measured().tier,
    }  # fmt: skip
    assert working.stages(post, job.id) == ["starting", "fetching", "reading", "storing"]


def test_many_plays_with_an_item_table(post: Post, tenant: str, tmp_path: Path) -> None:
    made = plays.make(60, 80)
    files = {"plays.csv": plays.as_csv(plays.events(made)), "Items.csv": plays.as_csv(made.items)}

    row, job = ingest(post, tenant, files)

    assert job.state == jobs.SUCCEEDED, job.error
    found, expected = loaded(post, row, tmp_path), plays.interactions(made)
    assert rows(found) == rows(expected)
    assert (found.users, found.items) == (expected.users, expected.items)
    assert found.catalogue.equals(expected.catalogue)
    assert row.profile["interactions"]["unlisted_items"] == 0
    assert row.profile["interactions"]["split"] == "time"


def test_the_uploads_are_let_go_of(post: Post, tenant: str) -> None:
    given = parquet({"user": ["raw-canary", "bob"], "item": ["x", "y"]})

    row, _ = ingest(post, tenant, {"plays.parquet": given})

    with post.database.reading() as sql:
        assert datasets.files(sql, row.id) == []
    assert uploading_keys(post, tenant, row.id) == sorted(part["key"] for part in row.parts)
    # Nor is there a key left of what was uploaded, whoever has kept the file.
    upload = places.dataset_file(tenant, row.id, "file-0")
    assert post.storage.open_keys().find(upload).key is None
    assert erased.readable(post, "raw-canary") == []


def test_the_uploads_of_a_rejected_dataset_go(post: Post, tenant: str) -> None:
    ready, _ = ingest(post, tenant, {"plays.csv": PLAYS})
    row, job = ingest(post, tenant, {"plays.csv": b"user,item,plays\nalice,x,none\n"})
    assert row.state == datasets.REJECTED
    assert uploading_keys(post, tenant, row.id) == []

    leftovers.delete(post.database, post.storage, tenant, job.id)

    assert uploading_keys(post, tenant, row.id) == []
    assert uploading_keys(post, tenant, ready.id) == sorted(part["key"] for part in ready.parts)
    with post.database.reading() as sql:
        assert datasets.files(sql, row.id) == []


@pytest.mark.parametrize("state", ["open", "ingesting"])
def test_the_uploads_of_what_may_still_be_read_stay(post: Post, tenant: str, state: str) -> None:
    _, job = ingest(post, tenant, {"plays.csv": PLAYS})
    waiting, _ = uploading.begin(post, tenant, {"plays.csv": PLAYS})
    with post.database.transaction() as sql:
        sql.execute(update(dataset_table).where(dataset_table.c.id == waiting).values(state=state))

    leftovers.delete(post.database, post.storage, tenant, job.id)

    assert len(uploading_keys(post, tenant, waiting)) == 1
    with post.database.reading() as sql:
        assert len(datasets.files(sql, waiting)) == 1


def uploading_keys(post: Post, tenant: str, dataset: str) -> list[str]:
    return sorted(post.storage.keys(f"t/{tenant}/datasets/{dataset}/"))


def test_the_same_files_are_known_as_the_same(post: Post, tenant: str) -> None:
    first, _ = ingest(post, tenant, {"plays.csv": PLAYS})
    second, _ = ingest(post, tenant, {"plays.csv": PLAYS})
    third, _ = ingest(post, tenant, {"plays.csv": PLAYS + b"c,x,1,2024-01-01\n"})

    assert first.sha256 == second.sha256 != third.sha256


def test_ids_are_numbers_in_one_file_and_text_in_another(post: Post, tenant: str, tmp_path: Path) -> None:
    files = {
        "a.csv": b"user,item\n7,1\n",
        "b.parquet": parquet({"user": [7], "item": [2]}),
        "c.parquet": parquet({"user": pa.array([7.0, None]), "item": ["1", "2"]}),
        "items.parquet": parquet({"item": [1, 2, 3], "artist": ["A", "B", "C"]}),
    }

    row, _ = ingest(post, tenant, files)

    found = loaded(post, row, tmp_path)
    assert rows(found) == [("7", "1", 1), ("7", "1", 1), ("7", "2", 1)]
    assert found.catalogue.to_pydict() == {"artist": ["A", "B", "C"]}
    assert row.profile["interactions"]["left_out"] == {"id_missing": 1}


def test_rows_that_cannot_be_used_are_left_out_and_listed(post: Post, tenant: str) -> None:
    ahead = f"{time.time() + 3 * 86_400:.0f}"
    bad = [
        "a,x,-1,2024-01-01",
        "a,x,nan,2024-01-01",
        "a,x,1e12,2024-01-01",
        "a,x,1,tomorrow",
        f"a,x,1,{ahead}",
        ",x,1,1",
    ]
    good = [f"u{place},x,1,2024-01-01" for place in range(10)]
    content = "\n".join(["user,item,plays,time", *good, *bad]).encode()

    row, job = ingest(post, tenant, {"first.csv": PLAYS, "plays.csv": content})

    assert job.state == jobs.SUCCEEDED, job.error
    said = row.profile["interactions"]
    assert said["left_out"] == {"weight_invalid": 3, "time_invalid": 1, "time_in_future": 1, "id_missing": 1}
    assert (row.rows, said["faults_total"]) == (13, 6)
    assert [(each["file"], each["row"], each["column"], each["code"]) for each in said["faults"]] == [
        ("plays.csv", 10, "plays", "weight_invalid"), ("plays.csv", 11, "plays", "weight_invalid"),
        ("plays.csv", 12, "plays", "weight_invalid"), ("plays.csv", 13, "time", "time_invalid"),
        ("plays.csv", 14, "time", "time_in_future"), ("plays.csv", 15, "user", "id_missing"),
    ]  # fmt: skip
    assert "rows_left_out" in codes(row)


@pytest.mark.parametrize(("good", "bad", "is_accepted"), [(2, 2, True), (1, 2, False), (0, 1, False)])
def test_when_most_rows_cannot_be_used_the_dataset_is_rejected(
    post: Post, tenant: str, good: int, bad: int, *, is_accepted: bool
) -> None:
    content = b"user,item,plays\n" + b"a,x,1\n" * good + b"a,x,none\n" * bad

    row, job = ingest(post, tenant, {"plays.csv": content})

    assert (job.state == jobs.SUCCEEDED) is is_accepted
    if not is_accepted:
        assert (job.error["code"], job.error["errors_total"]) == ("dataset_rejected", bad)
        assert job.error["errors"][0]["row"] == good
        assert f"{bad} of {good + bad} rows cannot be used ({bad} weight_invalid)" in job.error["detail"]
        assert row.state == datasets.REJECTED


@pytest.mark.parametrize("column", ["plays", "time"])
def test_a_wrong_cell_that_is_a_name_is_told_nowhere(post: Post, tenant: str, column: str) -> None:
    row, job = ingest(post, tenant, {"a.csv": MISTAKEN[column]})

    assert job.state == jobs.SUCCEEDED, job.error
    assert "rows_left_out" in codes(row)
    assert "alice" not in json.dumps([job.result, row.profile])


@pytest.mark.parametrize("column", ["plays", "time"])
def test_nor_is_it_told_by_a_version_that_adds(post: Post, tenant: str, column: str) -> None:
    row, _ = ingest(post, tenant, {"a.csv": MISTAKEN[column]})
    later, job = ingest(post, tenant, {"a.csv": MISTAKEN[column]}, base=row.id)

    assert job.state == jobs.SUCCEEDED, job.error
    (fault,) = later.profile["interactions"]["faults"]
    assert (fault["row"], fault["column"], fault["message"][:8]) == (2, column, "expected")
    assert "alice" not in json.dumps([row.profile, later.profile, job.result])


def test_a_column_of_users_that_was_taken_for_times_is_in_no_error(post: Post, tenant: str) -> None:
    content = b"item,user,mail\nx,u1,alice@x.com\ny,u2,bob@x.com\n"

    row, job = ingest(post, tenant, {"a.csv": content}, time="mail")

    assert (job.state, len(job.error["errors"])) == (jobs.FAILED, 2)
    assert "row 0: expected a moment from 1900 on" in job.error["detail"]
    assert "@x.com" not in json.dumps([job.error, row.error])


def test_exact_repeats_at_a_moment_count_once(post: Post, tenant: str) -> None:
    row, _ = ingest(post, tenant, {"a.csv": PLAYS, "b.csv": PLAYS})

    assert (row.rows, row.profile["duplicates"], row.profile["interactions"]["duplicates"]) == (3, 3, 3)
    assert "duplicates" in codes(row)


def test_without_times_repeats_are_counted_as_such(post: Post, tenant: str) -> None:
    row, _ = ingest(post, tenant, {"a.csv": b"user,item\na,x\na,x\nb,x\n"})

    assert (row.rows, row.profile["interactions"]["repeated_pairs"], row.profile["duplicates"]) == (3, 1, 0)
    assert row.profile["interactions"]["split"] == "user"


def test_columns_without_a_usual_name_are_guessed_and_told(post: Post, tenant: str, tmp_path: Path) -> None:
    row, _ = ingest(post, tenant, {"a.csv": b"p,q\na,x\n"})

    assert rows(loaded(post, row, tmp_path)) == [("a", "x", 1)]
    assert codes(row)[:2] == ["column_guessed", "column_guessed"]


def test_a_million_events_of_one_user(post: Post, tenant: str) -> None:
    count = 1_000_000
    moments = 1_600_000_000 + np.arange(count)
    content = parquet(
        {"user": np.repeat(["bot", "a"], [count - 3, 3]), "item": np.arange(count) % 5_000, "time": moments}
    )

    row, job = ingest(post, tenant, {"plays.parquet": content})

    assert job.state == jobs.SUCCEEDED, job.error
    said = row.profile["interactions"]
    assert (row.rows, said["users"], said["items"]) == (count, 2, 5_000)
    assert said["bots"] == {
        "users": 1,
        "events": count - 3,
        "named": [pseudonyms.of(post.settings.pepper, tenant, "plays", "bot")],
    }
    assert "bots" in codes(row)
    assert "bot'" not in json.dumps(job.result)


def test_one_user_and_one_item(post: Post, tenant: str) -> None:
    row, job = ingest(post, tenant, {"a.csv": b"user,item\na,x\n"})

    assert job.state == jobs.SUCCEEDED, job.error
    assert codes(row) == ["one_user", "one_item", "mostly_cold_users"]


def test_a_user_with_all_items_and_an_item_that_nobody_has_played(post: Post, tenant: str) -> None:
    content = b"user,item\n" + b"".join(b"a,i%d\n" % place for place in range(6)) + b"b,i1\n"
    items = b"item,artist\ni0,A\nnever,N\n"

    row, _ = ingest(post, tenant, {"a.csv": content, "items.csv": items})

    said = row.profile["interactions"]
    assert (said["users"], said["items"], said["cold_items"]) == (2, 7, {"unplayed": 1, "once": 5})
    assert (said["unlisted_items"], said["item_columns"]) == (5, [{"name": "artist", "type": "text", "filled": 2}])
    assert said["events_per_user"]["max"] == 6


def test_item_rows_without_an_id_are_told_and_stop_nobody(post: Post, tenant: str) -> None:
    items = b"id,artist\n,A\n,B\nx,C\nx,D\n"

    row, job = ingest(post, tenant, {"a.csv": PLAYS, "items.csv": items})

    assert job.state == jobs.SUCCEEDED, job.error
    assert [(each["file"], each["row"]) for each in row.profile["interactions"]["faults"]] == [
        ("items.csv", 0), ("items.csv", 1)
    ]  # fmt: skip
    assert {"items_repeated", "rows_left_out", "unlisted_items"} <= set(codes(row))


def test_a_number_in_an_item_table_that_is_none_rejects_it_by_its_place(post: Post, tenant: str) -> None:
    items = b"id,price\nx,1\ny,inf\n"

    said = refusal(post, tenant, {"a.csv": PLAYS, "items.csv": items})

    assert [(each["file"], each["row"], each["code"]) for each in said["errors"]] == [
        ("items.csv", 1, "value_not_finite")
    ]  # fmt: skip
    assert "'inf'" not in json.dumps(said)


@pytest.mark.parametrize("column", ["User_ID", "listener"])
def test_an_item_table_that_names_listeners_is_refused(post: Post, tenant: str, column: str) -> None:
    items = f"id,{column}\nx,canary-ada\n".encode()

    said = refusal(post, tenant, {"a.csv": PLAYS, "items.csv": items})

    assert [(each["column"], each["code"]) for each in said["errors"]] == [(column, "column_roles")]
    assert "canary" not in json.dumps(said)


def test_an_item_table_alone_is_no_dataset(post: Post, tenant: str) -> None:
    assert "no interactions" in refusal(post, tenant, {"items.csv": b"id\nx\n"})["detail"]


def test_a_role_that_is_not_there_is_refused(post: Post, tenant: str) -> None:
    said = refusal(post, tenant, {"a.csv": PLAYS}, weight="play")

    assert (said["errors"][0]["code"], said["errors"][0]["pointer"]) == ("column_missing", "/columns/weight")


def test_users_are_known_by_pseudonyms_alone(post: Post, tenant: str, tmp_path: Path) -> None:
    row, job = ingest(post, tenant, {"a.csv": PLAYS})

    of_a, of_b = (pseudonyms.of(post.settings.pepper, tenant, "plays", user) for user in "ab")
    assert sorted(rows(as_it_lies(post, row, tmp_path))) == sorted(
        [(of_a, "x", 3, FIRST), (of_a, "y", 2, SECOND), (of_b, "x", 1, FIRST)]
    )
    assert row.profile["interactions"]["pseudonyms"] is True
    leftovers.delete(post.database, post.storage, tenant, job.id)
    kept = b"".join(post.storage.get(key) for key in uploading_keys(post, tenant, row.id))
    assert of_a.encode() in kept


def test_a_version_that_adds_keeps_what_was_there(post: Post, tenant: str, tmp_path: Path) -> None:
    first, _ = ingest(post, tenant, {"a.csv": PLAYS, "items.csv": b"item,artist\nx,old\nz,Z\n"})

    second, job = ingest(
        post, tenant, {"b.csv": b"user,item,plays,time\na,x,3,2024-01-01\nc,y,1,2024-01-01\n",
                       "items.csv": b"item,year\nx,2001\n"}, base=first.id,
    )  # fmt: skip

    assert job.state == jobs.SUCCEEDED, job.error
    found = loaded(post, second, tmp_path)
    assert rows(found) == [
        ("a", "x", 3, FIRST), ("a", "y", 2, SECOND), ("b", "x", 1, FIRST), ("c", "y", 1, FIRST)
    ]  # fmt: skip
    assert second.profile["duplicates"] == 1
    assert found.items == ["x", "y", "z"]
    assert found.catalogue.to_pydict() == {"artist": [None, None, "Z"], "year": [2001, None, None]}


def test_a_version_may_add_an_item_table_alone(post: Post, tenant: str, tmp_path: Path) -> None:
    first, _ = ingest(post, tenant, {"a.csv": b"song,who\nx,a\n"}, user="who")

    second, job = ingest(post, tenant, {"items.csv": b"name,song\nX,x\n"}, base=first.id)

    assert job.state == jobs.SUCCEEDED, job.error
    assert second.profile["roles"]["item"] == "song"
    assert loaded(post, second, tmp_path).catalogue.to_pydict() == {"name": ["X"]}


def test_pseudonyms_of_the_base_go_on(post: Post, tenant: str, tmp_path: Path) -> None:
    first, _ = ingest(post, tenant, {"a.csv": b"user,item\na,x\n"})

    second, _ = ingest(post, tenant, {"a.csv": b"user,item\na,y\n"}, base=first.id)

    found = as_it_lies(post, second, tmp_path)
    assert found.users == [pseudonyms.of(post.settings.pepper, tenant, "plays", "a")]
    assert found.items == ["x", "y"]


def test_times_can_neither_be_added_nor_left_out_later(post: Post, tenant: str) -> None:
    timed, _ = ingest(post, tenant, {"a.csv": PLAYS})
    timeless, _ = ingest(post, tenant, {"a.csv": b"user,item\na,x\n"})

    without = refusal(post, tenant, {"a.csv": b"user,item\na,x\n"}, base=timed.id)
    having = refusal(post, tenant, {"a.csv": PLAYS}, base=timeless.id)

    assert "expected a column of times, as plays@1 has" in without["detail"]
    assert "expected no column of times, as plays@2 has" in having["detail"]
    assert without["errors"][0]["code"] == "columns_differ"


def test_a_version_outlives_the_versions_that_it_was_made_of(post: Post, tenant: str) -> None:
    first, _ = ingest(post, tenant, {"a.csv": PLAYS})
    second, _ = ingest(post, tenant, {"a.csv": b"user,item,time\nc,x,1\n"}, base=first.id)
    with post.database.transaction() as sql:
        datasets.erase(sql, tenant, first.id)

    third, job = ingest(post, tenant, {"a.csv": b"user,item,time\nd,x,1\n"}, base=second.id)

    assert job.state == jobs.SUCCEEDED, job.error
    assert third.rows == 5


def test_a_base_that_is_erased_while_its_successor_waits_fails_it(post: Post, tenant: str) -> None:
    first, _ = ingest(post, tenant, {"a.csv": PLAYS})
    second, job = uploading.begin(post, tenant, {"a.csv": PLAYS}, base=first.id)
    with post.database.transaction() as sql:
        datasets.erase(sql, tenant, first.id)

    runner.run(post, "light", only_tenant=None)

    assert working.find(post, job).error["code"] == "dataset_erased"
    assert uploading.find(post, tenant, second).state == datasets.REJECTED


@pytest.mark.parametrize("name", ["mix", "Plays"])
def test_a_base_of_another_name_is_refused(post: Post, tenant: str, name: str) -> None:
    first, _ = ingest(post, tenant, {"a.csv": PLAYS})

    with pytest.raises(Exception, match="expected a base of the same name") as refused:
        uploading.begin(post, tenant, {"a.csv": PLAYS}, base=first.id, name=name)

    assert refused.value.code == "base_of_another_name"  # type: ignore[attr-defined]
