"""A row, or a recording, that was erased: it leaves every version, and no later one brings it back."""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Row, select

from shared import datasets, pseudonyms, receipts
from shared import storage as places
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import events, features, tracks
from shared.tables import jobs as job_table
from tests.worker import erased, recorded, working
from tests.worker.erased import carry_out, decide, learn, log, marks, readable, score
from worker import runner
from worker.runner import Post

Json = dict[str, Any]

SONGS = b"id,title,tempo,genre\ns1,One,100,rock\ncanary-key,Canary Song,120,canarycore\ns3,Three,90,folk\n"
MORE = b"id,title,tempo,genre\ns4,Four,101,rock\ns5,Five,95,folk\n"


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


def ingest(
    post: Post, tenant: str, files: Mapping[str, bytes], *, base: str | None = None, name: str = "songs", **columns: Any
) -> tuple[Row[Any], Row[Any]]:
    """A table that a client has uploaded; returns the rows of the dataset and of its ingest."""
    dataset, job = upload(post, tenant, files, base=base, name=name, **columns)
    runner.run(post, "light", only_tenant=None)
    return find(post, tenant, dataset), working.find(post, job)


def upload(
    post: Post, tenant: str, files: Mapping[str, bytes], *, base: str | None = None, name: str = "songs", **columns: Any
) -> tuple[str, str]:
    with post.database.transaction() as sql:
        row = datasets.create(sql, tenant, name=name, format="table", columns=columns, base=base)
    for place, (file, content) in enumerate(files.items()):
        key = places.dataset_file(tenant, row.id, f"file-{row.id}-{place}")
        stored = post.storage.put(key, [content])
        with post.database.transaction() as sql:
            datasets.add_file(sql, tenant, row.id, name=file, key=key, stored=stored)
    with post.database.transaction() as sql:
        return row.id, datasets.begin_ingest(sql, tenant, row.id)


def find(post: Post, tenant: str, dataset: str) -> Row[Any]:
    with post.database.reading() as sql:
        return datasets.find(sql, tenant, dataset)


def rows(post: Post, row: Row[Any]) -> list[Json]:
    (part,) = [part for part in row.parts if part["name"].endswith(".parquet")]
    found: list[Json] = pq.read_table(pa.BufferReader(post.storage.get(part["key"]))).to_pylist()
    return found


def files(post: Post, row: Row[Any]) -> list[str]:
    with post.database.reading() as sql:
        return [file.name for file in datasets.files(sql, row.id)]


def receipt_of(post: Post, row: Any) -> Any:
    assert row.state == "done", working.find(post, row.job).error
    store = post.storage.open_keys().store
    assert receipts.is_signed(receipts.public_key(store), row.receipt, row.signature)
    return row.receipt


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
    with post.database.reading() as sql:
        told = [dict(each) for table in (job_table, events) for each in sql.execute(select(table)).mappings()]
    assert "canary" not in json.dumps(told) + erased.told(row)
    # What is added has the columns of then, also those that are left out of the table.
    third, made = ingest(post, tenant, {"d.csv": b"id,title,tempo,genre\ns9,Nine,1,rock\n"}, base=second.id, id="id",
                         target="genre", drop=["title"])  # fmt: skip
    assert made.state == "succeeded", made.error
    assert sorted(each["id"] for each in rows(post, third)) == ["s1", "s3", "s4", "s5", "s9"]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("sounds")
    return {name: recorded.write(folder / name, 150.0 + 90 * place, seconds=2.0)
            for place, name in enumerate(["canary.wav", "b.wav", "c.wav", "d.wav"])}  # fmt: skip


def contents(post: Post, dataset: str) -> list[str]:
    with post.database.reading() as sql:
        chosen = select(tracks.c.content).where(tracks.c.dataset == dataset).order_by(tracks.c.number)
        return list(sql.execute(chosen).scalars())


def heard(post: Post) -> set[str]:
    with post.database.reading() as sql:
        return set(sql.execute(select(features.c.content)).scalars())


def keys(post: Post, row: Row[Any]) -> list[str]:
    return [each["key"] for each in recorded.reports(post, row)]


def test_a_recording_leaves_every_version_with_its_file_and_what_was_computed_of_it(
    post: Post, tenant: str, sounds: dict[str, bytes]
) -> None:
    listed = [
        ("canary.wav", "canarycore", "x"),
        ("b.wav", "rock", "y"),
        ("c.wav", "folk", "z"),
        ("copy.wav", "rock", "y"),
    ]
    album = {**sounds, "copy.wav": sounds["b.wav"], "list.csv": recorded.manifest(listed)}
    del album["d.wav"]
    first, job = recorded.ingest(post, tenant, album)
    assert job.state == "succeeded", job.error
    added = {"d.wav": sounds["d.wav"], "more.csv": recorded.manifest([("d.wav", "rock", "w")])}
    second, job = recorded.ingest(post, tenant, added, base=first.id)
    assert job.state == "succeeded", job.error
    content = contents(post, first.id)[0]
    assert content in heard(post)
    scored = score(post, tenant, second.id, canary="canary.wav")

    row = carry_out(post, decide(post, tenant, "tracks", track="canary.wav"))

    receipt = receipt_of(post, row)
    assert [(each["reference"], each["rows"]) for each in receipt["datasets"]] == [("tracks@1", 1), ("tracks@2", 1)]
    assert receipt["predictions_deleted"] == [scored]
    assert content not in heard(post)
    assert len(heard(post)) == 3
    uploads = [each["sha256"] for each in receipt["artefacts"] if each["kind"] == "upload"]
    assert content in uploads
    assert len(uploads) == 3
    assert readable(post, "canary") == []
    assert not [key for key in post.storage.keys("t/") if sounds["canary.wav"] == post.storage.get(key)]
    for before, left in ((first, ["b.wav", "c.wav", "copy.wav"]), (second, ["b.wav", "c.wav", "copy.wav", "d.wav"])):
        now = find(post, tenant, before.id)
        assert keys(post, now) == left
        assert [each["duplicate_of"] for each in recorded.reports(post, now)][:3] == [None, None, "b.wav"]
        assert [each["etude.same_as"] for each in rows(post, now)][:3] == [0, 1, 0]
        assert len(contents(post, now.id)) == now.rows == now.profile["audio"]["tracks"] == len(left)
        assert now.profile["classes"] == {"rock": len(left) - 1, "folk": 1}
        assert "canary" not in json.dumps(now.profile)
        assert now.base == before.base
    with post.database.reading() as sql:
        told = [dict(each) for table in (job_table, events) for each in sql.execute(select(table)).mappings()]
    assert "canary" not in json.dumps(told) + erased.told(row)
    again = {"e.wav": sounds["d.wav"], "again.csv": recorded.manifest([("e.wav", "rock", "w")])}
    third, job = recorded.ingest(post, tenant, again, base=second.id)
    assert job.state == "succeeded", job.error
    assert keys(post, third) == ["b.wav", "c.wav", "copy.wav", "d.wav", "e.wav"]
    assert third.profile["audio"]["faults"] == []
