"""A row of a table that was erased: it leaves every version, and no later one brings it back."""

import json
from typing import Any

import pytest
from sqlalchemy import insert, select

from shared import jobs, pseudonyms, rights
from shared.database import Database
from shared.errors import Damaged
from shared.row_keys import RowKeys
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import rights_entries
from tests.worker import erased, losing, working
from tests.worker.erased import carry_out, decide, learn, log, marks, readable, score
from tests.worker.interactions import uploading
from tests.worker.interactions.uploading import hurry
from tests.worker.losing import find, ingest, once, receipt_of, remains, rows
from worker import ingest as reading
from worker import runner
from worker.runner import Post

Json = dict[str, Any]

SONGS = b"id,title,tempo,genre\ns1,One,100,rock\ncanary-key,Canary Song,120,canarycore\ns3,Three,90,folk\n"
MORE = b"id,title,tempo,genre\ns4,Four,101,rock\ns5,Five,95,folk\n"


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


def test_a_row_leaves_every_version_and_no_later_one_brings_it_back(post: Post, tenant: str) -> None:
    first, _ = ingest(post, tenant, {"a.csv": SONGS}, id="id", target="genre", drop=["title"])
    second, _ = ingest(post, tenant, {"b.csv": MORE}, base=first.id, id="id", target="genre", drop=["title"])
    other, _ = ingest(post, tenant, {"c.csv": MORE}, id="id", target="genre", drop=["title"])
    model = learn(post, tenant, first.id, model="genre", canary="canary-key")
    clean = learn(post, tenant, other.id, model="clean", canary="s4")
    scored = score(post, tenant, second.id, canary="canary-key")
    pseudonym = pseudonyms.of_row(post.settings.pepper, tenant, "songs", "canary-key")

    row = carry_out(post, decide(post, tenant, "songs", track="canary-key", policy="delete"))

    receipt = receipt_of(post, row)
    assert receipt["subject"] == {"kind": "track", "dataset": "songs", "version": None, "pseudonym": pseudonym}
    assert [(each["reference"], each["rows"], each["done"]) for each in receipt["datasets"]] == [
        ("songs@1", 1, "rewritten"), ("songs@2", 1, "rewritten")
    ]  # fmt: skip
    kinds = {each["kind"] for each in receipt["artefacts"]}
    assert kinds == {"dataset_part", "upload", "output", "kept_rows", "model_file"}
    assert receipt["predictions_deleted"] == [scored]
    assert marks(post, model, clean) == ["deleted", None]
    assert log(post, pseudonym)[:3] == [
        ("erasures.decide", row.id), ("erasures.rewrite", first.id), ("erasures.rewrite", second.id)
    ]  # fmt: skip
    places_ = [each["place"] for each in receipt["artefacts"] + receipt["unnamed_files"]]
    assert not [place for place in places_ if post.storage.exists(place)]
    assert readable(post, "anary") == []
    for before, keys in ((first, ["s1", "s3"]), (second, ["s1", "s3", "s4", "s5"]), (other, ["s4", "s5"])):
        now = find(post, tenant, before.id)
        assert [each["id"] for each in rows(post, now)] == keys
        assert "title" not in rows(post, now)[0]
        assert (now.rows, now.profile["rows"]) == (len(keys), len(keys))
        assert "canary" not in json.dumps(now.profile)
        assert (now.sha256 != before.sha256) == (before.id != other.id)
    assert "canary" not in losing.told(post)
    # What is added has the columns of then, also those that are left out of the table.
    third, made = ingest(post, tenant, {"d.csv": b"id,title,tempo,genre\ns9,Nine,1,rock\n"}, base=second.id, id="id",
                         target="genre", drop=["title"])  # fmt: skip
    assert made.state == "succeeded", made.error
    assert sorted(each["id"] for each in rows(post, third)) == ["s1", "s3", "s4", "s5", "s9"]


on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_of_a_version_whose_base_is_deleted_and_of_types_that_only_all_files_have(post: Post, tenant: str) -> None:
    # Of one file alone the codes would be numbers, and 007 would be 7.
    first, _ = ingest(post, tenant, {"a.csv": b"id,code\ns1,007\ns2,012\n"}, id="id")
    second, _ = ingest(post, tenant, {"b.csv": b"id,code\ns3,xyz\ns4,\n"}, base=first.id, id="id")
    carry_out(post, decide(post, tenant, "songs@1"))

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "songs", track="s1")))

    assert [(each["reference"], each["rows"]) for each in receipt["datasets"]] == [("songs@2", 1)]
    now = find(post, tenant, second.id)
    assert [each["code"] for each in rows(post, now)] == ["012", "xyz", None]
    assert (now.base, now.copied_from, losing.files(post, now)) == (None, first.id, ["remaining.parquet"])
    third, job = ingest(post, tenant, {"c.csv": b"id,code\ns5,1\n"}, base=second.id, id="id")
    assert job.state == jobs.SUCCEEDED, job.error
    assert sorted(each["id"] for each in rows(post, third)) == ["s2", "s3", "s4", "s5"]


@on_sqlite
def test_cells_that_were_left_out_and_that_nobody_can_read_hold_nothing_up(post: Post, tenant: str) -> None:
    content = uploading.parquet({"id": ["s1", "canary"], "bpm": [1.0, 2.0], "odd": [1.0, float("inf")]})
    row, job = ingest(post, tenant, {"a.parquet": content}, id="id", drop=["odd"])
    assert job.state == jobs.SUCCEEDED, job.error

    receipt_of(post, carry_out(post, decide(post, tenant, "songs", track="canary")))

    assert rows(post, find(post, tenant, row.id)) == [{"id": "s1", "bpm": 1.0}]
    assert readable(post, "canary") == []


@on_sqlite
def test_what_is_inferred_is_inferred_still_and_what_was_said_of_the_row_is_not(post: Post, tenant: str) -> None:
    content = b"track,bpm,genre\n" + b"".join(b"t%d,%d,%s\n" % (n, n, b"rock" if n % 2 else b"pop") for n in range(40))
    row, _ = ingest(post, tenant, {"a.csv": content + b"canary,fast canary,canarycore\n"})
    told = {each["code"] for each in row.profile["warnings"]}
    assert {"target_inferred", "id_inferred", "class_of_one_row", "mixed_types"} <= told
    assert "canary" in losing.told(post)

    receipt_of(post, carry_out(post, decide(post, tenant, row.id, track="canary")))

    now = find(post, tenant, row.id)
    assert {each["code"] for each in now.profile["warnings"]} == told - {"class_of_one_row", "mixed_types"}
    assert now.profile["roles"] == row.profile["roles"]
    assert now.profile["classes"] == {"pop": 20, "rock": 20}
    assert "canary" not in losing.told(post)


@on_sqlite
def test_where_nothing_would_be_left_the_erasure_waits_for_the_whole_version_to_go(post: Post, tenant: str) -> None:
    only, _ = ingest(post, tenant, {"a.csv": b"id,bpm\ns1,1\n"}, id="id")
    more, _ = ingest(post, tenant, {"b.csv": b"id,bpm\ns2,1\n"}, base=only.id, id="id")

    failed = carry_out(post, decide(post, tenant, "songs", track="s1"))

    error = working.find(post, failed.job).error
    assert (failed.state, error["code"]) == ("decided", "nothing_left")
    assert "erase it as a whole" in error["detail"]
    assert [find(post, tenant, each.id).sha256 for each in (only, more)] == [only.sha256, more.sha256]
    carry_out(post, decide(post, tenant, "songs@1"))
    with post.database.transaction() as sql:
        jobs.retry(sql, tenant, failed.job)
    assert [each["reference"] for each in receipt_of(post, carry_out(post, failed))["datasets"]] == ["songs@2"]


def test_models_are_trained_anew_where_that_is_chosen(post: Post, tenant: str) -> None:
    songs = (b"s%d,%d,%s\n" % (n, n * 7 % 31, [b"rock", b"pop"][n % 2]) for n in range(60))
    content = b"id,bpm,genre\n" + b"".join(songs)
    row, _ = ingest(post, tenant, {"a.csv": content}, id="id", target="genre")
    genre = learn(post, tenant, row.id, model="genre", canary="s3", kind="classification")

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "songs", track="s3", policy="retrain")))

    (new,) = receipt["retrained"]
    assert (working.find(post, new).kind, working.find(post, new).model) == ("classification", "genre")
    assert marks(post, genre) == [[{"erasure": receipt["erasure"], "kind": "track"}]]
    assert "s3" not in [each["id"] for each in rows(post, find(post, tenant, row.id))]


@on_sqlite
def test_what_remains_elsewhere_is_told(post: Post, tenant: str) -> None:
    raw, _ = ingest(post, tenant, {"a.csv": SONGS}, name="raw", id="id")
    songs, _ = ingest(post, tenant, {"b.csv": MORE}, base=raw.id, id="id")
    best, _ = ingest(
        post, tenant, {"c.csv": b"id,title,tempo,genre\ns9,Nine,1,rock\n"}, name="best", base=songs.id, id="id"
    )
    with post.database.transaction() as sql:
        # As entries from before name it.
        old = {"tenant": tenant, "dataset": songs.id, "number": 1, "track": "canary-key", "at": 0.0}
        sql.execute(insert(rights_entries).values(consent="refused", **old))

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "songs", track="canary-key")))

    assert [each["reference"] for each in receipt["datasets"]] == ["songs@1"]
    told = remains(receipt)
    assert {"raw@1", "best@1", "rights of songs"} <= told.keys()
    assert "s9" in [each["id"] for each in rows(post, find(post, tenant, best.id))]


def test_of_entries_of_the_ledger_nobody_reads_any_more_which_row_they_are_about(post: Post, tenant: str) -> None:
    row, _ = ingest(post, tenant, {"a.csv": SONGS}, id="id")
    names = RowKeys(post.storage, post.settings.pepper)
    with post.database.transaction() as sql:
        for key in ("canary-key", "s3", "unknown"):
            rights.append(sql, tenant, row.id, {"consent": "refused"}, key="key_1", track=key, names=names)
        cells = [each.track for each in rights.page(sql, row.id, limit=9, before=None)]
        kept = sql.execute(select(rights_entries)).all()
    assert "canary" not in str(kept)
    assert [names.open(tenant, cell) for cell in cells] == ["unknown", "s3", "canary-key"]

    for key in ("canary-key", "unknown"):
        receipt = receipt_of(post, carry_out(post, decide(post, tenant, "songs", track=key)))
        assert "rights of songs" not in remains(receipt)

    fresh = RowKeys(Storage(post.settings), post.settings.pepper)
    erased_rows = [names.identify(tenant, "songs", key) for key in ("unknown", "canary-key")]
    assert [fresh.open(tenant, cell) for cell in cells] == [erased_rows[0], "s3", erased_rows[1]]
    with post.database.transaction() as sql:
        # Still refused, also where it comes again, and told anew under another key.
        assert set(rights.standing(sql, [row.id])[row.id].withheld) >= set(erased_rows)
        rights.append(sql, tenant, row.id, {"consent": "granted"}, key="key_1", track="canary-key", names=fresh)
        assert erased_rows[1] not in rights.standing(sql, [row.id])[row.id].withheld
        (again,) = rights.page(sql, row.id, limit=1, before=None)
    assert [fresh.open(tenant, cell) for cell in (again.track, cells[2])] == ["canary-key", erased_rows[1]]

    carry_out(post, decide(post, tenant, "songs"))
    # A key is used for some seconds without being asked for again: by whoever has used it, not by others.
    fresh = RowKeys(Storage(post.settings), post.settings.pepper)
    assert fresh.open(tenant, cells[1]) == names.identify(tenant, "songs", "s3")


def test_a_cell_of_the_ledger_that_was_changed_is_told(post: Post, tenant: str) -> None:
    names = RowKeys(post.storage, post.settings.pepper)
    cell = names.seal(tenant, "songs", "s1")
    head, sealed = cell.rsplit(".", 1)

    assert names.open(tenant, "a row from before") == "a row from before"
    for changed in (f"{head}.{sealed[:-8]}AAAAAAA=", f"{head}.!"):
        with pytest.raises(Damaged):
            names.open(tenant, changed)


@on_sqlite
def test_a_version_that_is_read_meanwhile_does_not_bring_it_back(
    post: Post, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = ingest(post, tenant, {"a.csv": SONGS}, id="id")
    dataset, job = losing.upload(post, tenant, {"b.csv": MORE}, base=first.id, id="id")
    decided = decide(post, tenant, "songs", track="canary-key")
    second = working.make_post(post.settings, post.database, post.storage, worker="light-2")
    once(monkeypatch, reading, "run", lambda: carry_out(second, decided))

    runner.run(post, "light", only_tenant=None)

    late = working.find(post, job)
    assert (late.state, late.error["code"]) == (jobs.QUEUED, "dataset_changed")
    assert "songs@2" in remains(receipt_of(post, erased.find(post, decided)))
    hurry(post, job)
    runner.run(post, "light", only_tenant=None)
    assert working.find(post, job).state == jobs.SUCCEEDED
    assert sorted(each["id"] for each in rows(post, find(post, tenant, dataset))) == ["s1", "s3", "s4", "s5"]


@on_sqlite
def test_a_base_that_is_erased_while_it_is_read_ends_the_next_version(
    post: Post, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = ingest(post, tenant, {"a.csv": SONGS}, id="id")
    _, job = losing.upload(post, tenant, {"b.csv": MORE}, base=first.id, id="id")
    once(monkeypatch, reading, "run", lambda: decide(post, tenant, "songs@1"))

    runner.run(post, "light", only_tenant=None)
    hurry(post, job)
    runner.run(post, "light", only_tenant=None)

    late = working.find(post, job)
    assert (late.state, late.error["code"]) == (jobs.FAILED, "dataset_erased")
