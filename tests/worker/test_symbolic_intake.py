"""Datasets of pieces: read once, compared, listed with what is wrong; by a real child, on both databases."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Row

from shared import datasets, jobs
from shared import storage as places
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from tests.worker import working
from tests.worker.symbolic import scores
from tests.worker.symbolic.midi_files import file, melody, meta, note, tempo
from tests.worker.symbolic.scores import zipped
from worker import runner
from worker.runner import Post
from worker.symbolic import stored

Json = dict[str, Any]

SONG = file(meta(0x03, b"Air") + tempo(500_000) + melody([60, 64, 67, 72]))
HIGHER = file(melody([62, 66, 69, 74]))
OTHER = file(melody([60, 62, 64]), note(36, 96, channel=9))


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


def ingest(
    post: Post, tenant: str, files: Mapping[str, bytes], *, base: str | None = None
) -> tuple[Row[Any], Row[Any]]:
    """Upload, ingest; returns the rows of the dataset and of the job."""
    with post.database.transaction() as sql:
        row = datasets.create(sql, tenant, name="pieces", format="symbolic", columns={}, base=base)
    for place, (name, content) in enumerate(files.items()):
        key = places.dataset_file(tenant, row.id, f"file-{place}")
        kept = post.storage.put(key, [content])
        with post.database.transaction() as sql:
            datasets.add_file(sql, tenant, row.id, name=name, key=key, stored=kept)
    with post.database.transaction() as sql:
        job = datasets.begin_ingest(sql, tenant, row.id)
    runner.run(post, "light", only_tenant=None)
    with post.database.reading() as sql:
        return datasets.find(sql, tenant, row.id), working.find(post, job)


def reports(post: Post, row: Row[Any]) -> list[Json]:
    (part,) = [part for part in row.parts if part["name"] == "pieces.jsonl"]
    return [json.loads(line) for line in post.storage.get(part["key"]).splitlines()]


def test_files_become_a_dataset_of_pieces(post: Post, tenant: str) -> None:
    chorale = (scores.CHORALES / "bwv269.mxl").read_bytes()
    row, job = ingest(post, tenant, {"a.mid": SONG, "b.mid": OTHER, "train/c.mxl": chorale})

    assert job.state == jobs.SUCCEEDED, job.error
    assert (row.state, row.rows) == (datasets.READY, 3)
    symbolic = row.profile["symbolic"]
    assert job.result["symbolic"] == symbolic
    assert (symbolic["pieces"], symbolic["usable"], symbolic["faults_total"]) == (3, 3, 0)
    assert symbolic["parts"] == {"train": 1}
    assert symbolic["voices"] == {"1": 2, "4": 1}
    assert symbolic["meters"] == {"unwritten": 2, "3/4": 1}
    assert symbolic["ranges"] is None
    assert row.profile["warnings"] == []
    assert [part["name"] for part in row.parts] == ["pieces.parquet", "notes.parquet", "pieces.jsonl", "pieces.index"]
    assert working.stages(post, job.id) == ["starting", "fetching", "reading", "storing"]


def test_a_report_says_what_a_piece_is_like(post: Post, tenant: str) -> None:
    chorale = (scores.CHORALES / "bwv269.mxl").read_bytes()
    row, _ = ingest(post, tenant, {"a.mid": SONG, "c.mxl": chorale})

    song, choir = reports(post, row)

    confidence = song["tonality"]["estimated"]["confidence"]
    assert song == {
        "row": 0, "key": "a.mid", "file": "a.mid", "part": None,
        "voices": [
            {
                "name": "Air", "program": 0, "is_drum": False, "notes": 4, "lowest": 60, "highest": 72,
                "is_monophonic": True,
            }
        ],
        "notes": 4, "bars": 1, "length_quarters": 4.0, "duration_s": 2.0,
        "tempo": {"first_bpm": 120.0, "changes": 0, "slowest_bpm": 120.0, "fastest_bpm": 120.0},
        "meters": {"written": [], "changes": 0},
        "tonality": {"estimated": {"tonic": "C", "mode": "major", "confidence": confidence}, "written": None},
        "flags": [], "duplicate_of": None, "transposed_by": None, "fault": None,
    }  # fmt: skip
    assert 0.7 < confidence <= 1
    assert [voice["name"] for voice in choir["voices"]] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert choir["tonality"]["written"] == {"tonic": "G", "mode": "major", "sharps": 1, "changes": 0}
    assert choir["tonality"]["estimated"]["tonic"] == "G"
    assert choir["meters"] == {"written": ["3/4"], "changes": 0}


def test_what_cannot_be_used_is_listed_and_stops_nobody(post: Post, tenant: str) -> None:
    files = {
        "a.mid": SONG,
        "cut.mid": SONG[:-8],
        "silent.mid": file(meta(0x03, b"x")),
        "z.zip": zipped({"b.mid": b"no"}),
    }

    row, job = ingest(post, tenant, files)

    assert job.state == jobs.SUCCEEDED, job.error
    assert [(each["key"], each["flags"], each["fault"] and each["fault"]["code"]) for each in reports(post, row)] == [
        ("a.mid", [], None), ("cut.mid", [], "midi_truncated"), ("silent.mid", ["empty"], None),
        ("z.zip/b.mid", [], "unsupported_format"),
    ]  # fmt: skip
    symbolic = row.profile["symbolic"]
    assert (row.rows, symbolic["usable"], symbolic["faults_total"]) == (4, 1, 3)
    assert [(each["row"], each["file"], each["code"]) for each in symbolic["faults"]] == [
        (1, "cut.mid", "midi_truncated"), (2, "silent.mid", "piece_empty"), (3, "z.zip/b.mid", "unsupported_format")
    ]  # fmt: skip
    (warning,) = row.profile["warnings"]
    assert warning["code"] == "pieces_unusable"
    assert "cut.mid" in warning["detail"]


def test_when_no_piece_can_be_used_all_faults_are_told(post: Post, tenant: str) -> None:
    row, job = ingest(post, tenant, {"cut.mid": SONG[:-8], "silent.mid": file(b"")})

    assert (row.state, job.state) == (datasets.REJECTED, jobs.FAILED)
    assert job.error["code"] == "dataset_rejected"
    assert job.error["errors_total"] == 2
    assert [(each["file"], each["code"]) for each in job.error["errors"]] == [
        ("cut.mid", "midi_truncated"), ("silent.mid", "piece_empty")
    ]  # fmt: skip


def test_the_same_music_is_named_by_the_first_that_has_it(post: Post, tenant: str) -> None:
    row, _ = ingest(post, tenant, {"a.mid": SONG, "b.mid": OTHER, "c.mid": SONG, "d.mid": HIGHER})

    said = [(each["flags"], each["duplicate_of"], each["transposed_by"]) for each in reports(post, row)]

    assert said == [
        ([], None, None), ([], None, None), (["duplicate"], "a.mid", None), (["transposed_duplicate"], "a.mid", 2)
    ]  # fmt: skip
    assert row.profile["symbolic"]["duplicates"] == {"exact": 1, "transposed": 1}
    assert [warning["code"] for warning in row.profile["warnings"]] == ["duplicates"]


def test_ranges_are_told_where_all_pieces_have_as_many_voices(post: Post, tenant: str) -> None:
    row, _ = ingest(post, tenant, {"a.mid": SONG, "b.mid": HIGHER})

    assert row.profile["symbolic"]["ranges"] == [{"voice": "Air", "lowest": 60, "highest": 74}]


def test_a_version_that_adds_reads_all_and_a_file_of_the_same_name_takes_its_place(post: Post, tenant: str) -> None:
    first, _ = ingest(post, tenant, {"a.mid": SONG, "b.mid": SONG[:-8]})

    second, job = ingest(post, tenant, {"b.mid": OTHER, "c.mid": HIGHER}, base=first.id)

    assert job.state == jobs.SUCCEEDED, job.error
    assert [(each["key"], each["notes"]) for each in reports(post, second)] == [
        ("a.mid", 4),
        ("b.mid", 4),
        ("c.mid", 4),
    ]
    assert second.profile["symbolic"]["faults_total"] == 0


def test_the_stored_pieces_are_those_that_were_read(post: Post, tenant: str, tmp_path: Any) -> None:
    row, _ = ingest(post, tenant, {"a.mid": SONG, "b.mid": SONG[:-8], "valid/c.mid": SONG})
    paths = []
    for part in row.parts[:2]:
        paths.append(tmp_path / part["name"])
        paths[-1].write_bytes(post.storage.get(part["key"]))

    loaded = stored.load(paths)

    assert [(each.key, each.part, each.same_as, each.piece is None) for each in loaded] == [
        ("a.mid", None, None, False), ("b.mid", None, None, True), ("valid/c.mid", "validation", 0, False)
    ]  # fmt: skip
    assert loaded[0].piece is not None
    assert loaded[0].piece.notes["pitch"].tolist() == [60, 64, 67, 72]
    assert loaded[0].piece.voices[0].name == "Air"


def test_two_pieces_of_one_name_have_keys_of_their_own(post: Post, tenant: str) -> None:
    row, _ = ingest(post, tenant, {"a.zip": zipped({"b.mid": SONG}), "a.zip/b.mid": OTHER})

    assert [each["key"] for each in reports(post, row)] == ["a.zip/b.mid#row0", "a.zip/b.mid#row1"]
