"""A piece of a dataset of scores leaves every version, its file or archive, and so does what has the same notes."""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Row

from shared import datasets, jobs
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from tests.worker import erased, losing, working
from tests.worker.erased import carry_out, decide, learn, marks, readable
from tests.worker.losing import files, find, receipt_of
from tests.worker.symbolic.midi_files import file, melody
from tests.worker.symbolic.scores import zipped
from worker.runner import Post

Json = dict[str, Any]

SONG, OTHER, THIRD, CANARY = (file(melody([60, *more])) for more in ((64, 67), (62, 64), (65, 69), (61, 63, 66)))
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


def ingest(post: Post, tenant: str, given: dict[str, bytes], **rest: Any) -> Row[Any]:
    row, job = losing.ingest(post, tenant, given, **{"format": "symbolic", "name": "pieces", **rest})
    assert job.state == jobs.SUCCEEDED, job.error
    return row


def reports(post: Post, row: Row[Any]) -> list[Json]:
    (part,) = [part for part in row.parts if part["name"] == "pieces.jsonl"]
    return [json.loads(line) for line in post.storage.get(part["key"]).splitlines()]


def keys(post: Post, row: Row[Any]) -> list[str]:
    return [each["key"] for each in reports(post, find(post, row.tenant, row.id))]


def erase(post: Post, tenant: str, key: str, **rest: Any) -> Any:
    return receipt_of(post, carry_out(post, decide(post, tenant, "pieces", track=key, **rest)))


def content(post: Post, row: Row[Any], name: str) -> bytes:
    with post.database.reading() as sql:
        (found,) = [each for each in datasets.files(sql, row.id) if each.name == name]
    return post.storage.get(found.key)


def test_a_file_leaves_every_version_and_no_later_one_brings_it_back(post: Post, tenant: str) -> None:
    first = ingest(post, tenant, {"a.mid": SONG, "canary.mid": CANARY})
    second = ingest(post, tenant, {"b.mid": OTHER, "again.mid": CANARY}, base=first.id)
    clean = ingest(post, tenant, {"b.mid": OTHER})
    model = learn(post, tenant, first.id, model="composer", canary="x", kind="generation")
    of_clean = learn(post, tenant, clean.id, model="clean", canary="x", kind="generation")
    before = reports(post, second)

    receipt = erase(post, tenant, "canary.mid")

    assert [(each["reference"], each["rows"]) for each in receipt["datasets"]] == [("pieces@1", 1), ("pieces@2", 2)]
    assert {each["kind"] for each in receipt["artefacts"]} == {"dataset_part", "upload", "kept_rows"}
    # The same notes under another name are the same music.
    assert (keys(post, first), keys(post, second), keys(post, clean)) == (["a.mid"], ["a.mid", "b.mid"], ["b.mid"])
    assert [files(post, row) for row in (first, second)] == [["a.mid"], ["b.mid"]]
    assert marks(post, model, of_clean) == [[{"erasure": receipt["erasure"], "kind": "track"}], None]
    now = find(post, tenant, second.id)
    assert (now.rows, now.profile["symbolic"]["pieces"], now.sha256 != second.sha256) == (2, 2, True)
    # What is told of those that are left is what was told of them.
    kept = [
        {**each, "row": place} for place, each in enumerate(each for each in before if each["key"] in "a.mid b.mid")
    ]
    assert reports(post, now) == kept
    assert keys(post, ingest(post, tenant, {"c.mid": THIRD}, base=second.id)) == ["a.mid", "b.mid", "c.mid"]
    told = losing.told(post)
    assert "canary.mid" not in told and "again.mid" not in told


def test_an_archive_is_written_anew_under_its_name_without_the_piece(post: Post, tenant: str) -> None:
    packed = zipped(
        {"train/a.mid": SONG, "train/canary.mid": CANARY, "test/b.mid": OTHER, "__MACOSX/._canary.mid": b"x"}
    )
    row = ingest(post, tenant, {"all.zip": packed, "c.mid": THIRD})

    receipt = erase(post, tenant, "all.zip/train/canary.mid")

    assert keys(post, row) == ["all.zip/test/b.mid", "all.zip/train/a.mid", "c.mid"]
    assert files(post, row) == ["all.zip", "c.mid"]
    left = zipfile.ZipFile(io.BytesIO(content(post, row, "all.zip")))
    assert {name: left.read(name) for name in left.namelist()} == {"test/b.mid": OTHER, "train/a.mid": SONG}
    assert [each["kind"] for each in receipt["artefacts"]].count("upload") == 1
    # The archive was packed, the pieces' own bytes lie in what is left alone.
    assert readable(post, "canary") == []
    again = ingest(post, tenant, {"d.mid": file(melody([70]))}, base=row.id)
    assert keys(post, again) == ["all.zip/test/b.mid", "all.zip/train/a.mid", "c.mid", "d.mid"]
    assert [each["part"] for each in reports(post, again)] == ["test", "train", None, None]


def test_in_a_file_of_grids_the_place_stays_empty_so_that_others_keep_their_keys(post: Post, tenant: str) -> None:
    frames = np.array([[60], [61], [62], [64], [65], [67]], np.int16)
    arrays = {"train_frames": frames, "train_lengths": np.array([2, 2, 2]), "valid_frames": frames[:2] + 5,
              "valid_lengths": np.array([2]), "resolution": np.array(4)}  # fmt: skip
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    row = ingest(post, tenant, {"grids.npz": packed.getvalue()})

    erase(post, tenant, "grids.npz/train/1")

    assert keys(post, row) == ["grids.npz/train/0", "grids.npz/train/2", "grids.npz/validation/0"]
    left = np.load(io.BytesIO(content(post, row, "grids.npz")))
    assert (left["train_frames"].ravel().tolist(), left["train_lengths"].tolist()) == ([60, 61, 65, 67], [2, 0, 2])
    assert (left["valid_frames"].ravel().tolist(), int(left["resolution"])) == ([65, 66], 4)
    again = {each["key"]: each["notes"] for each in reports(post, ingest(post, tenant, {"c.mid": THIRD}, base=row.id))}
    assert again["grids.npz/train/2"] == 2 and again["grids.npz/train/1"] == 0


def test_a_piece_that_nobody_could_read_goes_by_its_key(post: Post, tenant: str) -> None:
    empty = file(b"")
    row = ingest(post, tenant, {"a.mid": SONG, "broken.mid": SONG[:-8], "empty.mid": empty, "silent.mid": empty})

    erase(post, tenant, "broken.mid")
    erase(post, tenant, "empty.mid")

    assert keys(post, row) == ["a.mid", "silent.mid"]
    # Without notes nobody is like another.
    assert files(post, row) == ["a.mid", "silent.mid"]
    assert find(post, tenant, row.id).profile["symbolic"]["faults_total"] == 1


def test_an_unknown_key_changes_nothing(post: Post, tenant: str) -> None:
    row = ingest(post, tenant, {"a.mid": SONG})

    assert erase(post, tenant, "b.mid")["datasets"] == []
    assert find(post, tenant, row.id).sha256 == row.sha256


@pytest.mark.parametrize(
    ("of_base", "given", "key", "code"),
    [
        ("pieces", {"a.mid": SONG}, "a.mid", "nothing_left"),
        ("raw", {"a.mid": SONG, "b.mid": OTHER}, "a.mid", "held_by_base"),
    ],
)
def test_what_cannot_be_done_fails_and_changes_nothing(
    post: Post, tenant: str, of_base: str, given: dict[str, bytes], key: str, code: str
) -> None:
    row = ingest(post, tenant, given, name=of_base)
    if of_base != "pieces":
        row = ingest(post, tenant, {"c.mid": THIRD}, base=row.id)

    ended = carry_out(post, decide(post, tenant, "pieces", track=key))

    assert (ended.state, ended.job_error["code"]) == ("decided", code)
    assert find(post, tenant, row.id).sha256 == row.sha256
    assert erased.readable(post, "MThd") != []
