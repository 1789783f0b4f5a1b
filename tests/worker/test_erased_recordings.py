"""A recording that was erased: its file, what was heard in it and its rows are gone, and no later version has them."""

import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import Row, select

from shared import features as kept
from shared import jobs
from shared.database import Database
from shared.features import Feature
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import features, tracks
from tests.worker import losing, recorded, working
from tests.worker.erased import carry_out, decide, readable, score
from tests.worker.interactions.uploading import hurry
from tests.worker.losing import find, once, receipt_of, remains, rows
from worker import audio_intake, runner
from worker.desk import Desk
from worker.runner import Post

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HEADER = "file,start,end,genre,true_notes"


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


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
    embedded = post.storage.put(f"t/{tenant}/jobs/{scored}/1/features/1", [b"canary as numbers"])
    file = {"key": f"t/{tenant}/jobs/{scored}/1/features/1", "size_bytes": 1, "sha256": embedded.sha256}
    with post.database.transaction() as sql:
        kept.keep(sql, tenant, [Feature(content, "embedding", file=file)])
    assert len(readable(post, "canary")) == 7

    row = carry_out(post, decide(post, tenant, "tracks", track="canary.wav"))

    receipt = receipt_of(post, row)
    assert [(each["reference"], each["rows"]) for each in receipt["datasets"]] == [("tracks@1", 1), ("tracks@2", 1)]
    assert receipt["predictions_deleted"] == [scored]
    assert content not in heard(post)
    assert len(heard(post)) == 3
    assert "feature" in {each["kind"] for each in receipt["artefacts"]}
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
    assert "canary" not in losing.told(post)
    again = {"e.wav": sounds["d.wav"], "again.csv": recorded.manifest([("e.wav", "rock", "w")])}
    third, job = recorded.ingest(post, tenant, again, base=second.id)
    assert job.state == "succeeded", job.error
    assert keys(post, third) == ["b.wav", "c.wav", "copy.wav", "d.wav", "e.wav"]
    assert third.profile["audio"]["faults"] == []


@on_sqlite
def test_without_a_manifest_the_files_that_are_left_are_the_rows(
    post: Post, tenant: str, sounds: dict[str, bytes]
) -> None:
    first, _ = recorded.ingest(post, tenant, {name: sounds[name] for name in ("canary.wav", "b.wav")})

    receipt_of(post, carry_out(post, decide(post, tenant, "tracks", track="canary.wav")))

    assert losing.files(post, find(post, tenant, first.id)) == ["b.wav"]
    second, job = recorded.ingest(post, tenant, {"c.wav": sounds["c.wav"]}, base=first.id)
    assert job.state == "succeeded", job.error
    assert keys(post, second) == ["b.wav", "c.wav"]


@on_sqlite
def test_the_file_goes_with_all_rows_and_names_of_it_and_with_its_notes(
    post: Post, tenant: str, sounds: dict[str, bytes]
) -> None:
    notes = {"canary.csv": b"onset,offset,pitch\n0,1,60\n", "b.csv": b"onset,offset,pitch\n0,1,61\n"}
    listed = [
        ("canary.wav", "", 1, "rock", "canary.csv"), ("canary.wav", 1, "", "folk", "canary.csv"),
        ("same.wav", "", "", "rock", ""), ("b.wav", "", "", "rock", "b.csv"), ("gone.wav", "", "", "folk", ""),
    ]  # fmt: skip
    # The row that tells of the last one comes with a later version.
    files = {"canary.wav": sounds["canary.wav"], "same.wav": sounds["canary.wav"], "b.wav": sounds["b.wav"],
             "late.wav": sounds["canary.wav"], "unsaid.wav": sounds["d.wav"], **notes}  # fmt: skip
    manifest = recorded.manifest(listed, header=HEADER)
    first, job = recorded.ingest(post, tenant, {**files, "manifest.csv": manifest})
    assert job.state == "succeeded", job.error

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "tracks", track="canary.wav#0-1")))

    now = find(post, tenant, first.id)
    assert [each["rows"] for each in receipt["datasets"]] == [3]
    assert keys(post, now) == ["b.wav", "gone.wav"]
    assert losing.files(post, now) == ["b.csv", "b.wav", "etude.remaining.csv", "unsaid.wav"]
    faults = now.profile["audio"]["faults"]
    assert [(each["file"], each["code"]) for each in faults] == [
        (None, "file_missing"),
        ("unsaid.wav", "row_missing"),
    ]
    assert readable(post, "canary") == []
    again = {
        "c.wav": sounds["c.wav"],
        "manifest.csv": recorded.manifest([("c.wav", "", "", "rock", "")], header=HEADER),
    }
    second, job = recorded.ingest(post, tenant, again, base=first.id)
    assert job.state == "succeeded", job.error
    assert keys(post, second) == ["b.wav", "gone.wav", "c.wav"]


@on_sqlite
def test_the_base_of_another_name_comes_first(post: Post, tenant: str, sounds: dict[str, bytes]) -> None:
    raw, _ = recorded.ingest(post, tenant, {name: sounds[name] for name in ("canary.wav", "b.wav")}, name="raw")
    listed = [("canary.wav", "rock"), ("b.wav", "rock"), ("c.wav", "folk")]
    added = {"c.wav": sounds["c.wav"], "m.csv": recorded.manifest(listed, header="file,genre")}
    album, job = recorded.ingest(post, tenant, added, base=raw.id)
    assert job.state == "succeeded", job.error

    held = carry_out(post, decide(post, tenant, "tracks", track="canary.wav"))
    first = receipt_of(post, carry_out(post, decide(post, tenant, "raw", track="canary.wav")))
    with post.database.transaction() as sql:
        jobs.retry(sql, tenant, held.job)
    then = receipt_of(post, carry_out(post, held))

    assert (held.state, held.job_error["code"]) == ("decided", "held_by_base")
    assert "raw@1" in held.job_error["detail"]
    assert "tracks@1" in remains(first)
    assert remains(then).keys() >= {"raw@1"}
    assert keys(post, find(post, tenant, album.id)) == ["b.wav", "c.wav"]
    assert not [key for key in post.storage.keys("t/") if sounds["canary.wav"] == post.storage.get(key)]
    assert readable(post, "canary") == []


# Before it hears anything, before it keeps what it has heard, and before it is ready.
@on_sqlite
@pytest.mark.parametrize(
    ("module", "name", "code"),
    [
        (audio_intake, "_list", "file_missing"),
        (Desk, "known", "dataset_changed"),
        (audio_intake, "write", "dataset_changed"),
    ],
)
def test_what_is_heard_meanwhile_for_the_next_version_does_not_bring_it_back(
    post: Post,
    tenant: str,
    sounds: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    code: str,
) -> None:
    first, _ = recorded.ingest(post, tenant, {name: sounds[name] for name in ("canary.wav", "b.wav")})
    dataset, job = recorded.upload(post, tenant, {"c.wav": sounds["c.wav"]}, base=first.id)
    decided = decide(post, tenant, "tracks", track="canary.wav")
    second = working.make_post(post.settings, post.database, post.storage, worker="light-2")
    once(monkeypatch, module, name, lambda: carry_out(second, decided))

    runner.run(post, "light", only_tenant=None)

    late = working.find(post, job)
    assert (late.state, late.error["code"]) == (jobs.QUEUED, code)
    assert heard(post) - set(contents(post, first.id)) <= {hashlib.sha256(sounds["c.wav"]).hexdigest()}
    hurry(post, job)
    runner.run(post, "light", only_tenant=None)
    assert working.find(post, job).state == jobs.SUCCEEDED
    assert keys(post, find(post, tenant, dataset)) == ["b.wav", "c.wav"]


@on_sqlite
def test_of_the_only_recording_nothing_would_be_left(post: Post, tenant: str, sounds: dict[str, bytes]) -> None:
    row, _ = recorded.ingest(post, tenant, {"b.wav": sounds["b.wav"], "cut.wav": b"RIFF"})

    failed = carry_out(post, decide(post, tenant, "tracks", track="b.wav"))

    assert (failed.state, failed.job_error["code"]) == ("decided", "nothing_left")
    assert find(post, tenant, row.id).sha256 == row.sha256
