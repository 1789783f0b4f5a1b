"""Recordings are heard once, judged one by one, and listed with what is wrong; by a real ear, on both databases."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select

from shared import datasets, jobs
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import features, tracks
from tests.worker import recorded, working
from tests.worker.recorded import manifest
from tests.worker.working import Working
from worker import audio_intake
from worker.runner import Post

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Six recordings in five formats."""
    folder = tmp_path_factory.mktemp("songs")
    names = ["a.wav", "b.flac", "c.mp3", "d.ogg", "e.opus", "f.wav"]
    return {name: recorded.write(folder / name, 150.0 + 60 * place) for place, name in enumerate(names)}


def rows_of(songs: dict[str, bytes]) -> list[tuple[str, str, str]]:
    return [(name, "rock" if place % 2 else "folk", f"band{place // 2}") for place, name in enumerate(songs)]


def codes(reports: list[dict[str, Any]]) -> list[str | None]:
    return [each["fault"]["code"] if each["fault"] else None for each in reports]


def count_features(post: Post) -> int:
    with post.database.reading() as sql:
        return int(sql.execute(select(func.count()).select_from(features)).scalar_one())


def test_a_folder_and_a_manifest_become_a_dataset(post: Post, tenant: str, songs: dict[str, bytes]) -> None:
    row, job = recorded.ingest(post, tenant, {**songs, "list.csv": manifest(rows_of(songs))})

    assert job.state == jobs.SUCCEEDED, job.error
    assert row.state == datasets.READY
    assert row.rows == 6
    audio = row.profile["audio"]
    assert (audio["tracks"], audio["faults_total"]) == (6, 0)
    assert audio["formats"] == {"wav": 2, "flac": 1, "mp3": 1, "ogg-vorbis": 1, "ogg-opus": 1}
    assert audio["hours"] == pytest.approx(6 * 4 / 3600, rel=0.02)
    assert row.profile["classes"] == {"folk": 3, "rock": 3}
    assert row.profile["roles"]["group"] == "artist"
    reports = recorded.reports(post, row)
    assert [each["key"] for each in reports] == list(songs)
    assert all(each["flags"] == [] and each["loudness"]["integrated_lufs"] < 0 for each in reports)
    assert working.stages(post, job.id) == ["starting", "fetching", "listening", "storing"]


def test_every_bad_row_and_file_is_listed_and_stops_nobody(post: Post, tenant: str, songs: dict[str, bytes]) -> None:
    bad = {
        "picture.wav": PNG,
        "cut.mp3": songs["c.mp3"][: len(songs["c.mp3"]) // 2],
        "blip.wav": songs["a.wav"][:44] + songs["a.wav"][44:20_044],
        "forgotten.wav": songs["f.wav"],
    }
    listed = [
        *rows_of(songs),
        ("picture.wav", "rock", "x"),
        ("cut.mp3", "rock", "x"),
        ("blip.wav", "rock", "x"),
        ("gone.wav", "rock", "x"),
        ("../../etc/passwd", "rock", "x"),
        ("a.wav", "pop", "x"),
    ]

    row, job = recorded.ingest(post, tenant, {**songs, **bad, "manifest.csv": manifest(listed)})

    assert job.state == jobs.SUCCEEDED, job.error
    reports = {each["file"] + str(each["row"]): each for each in recorded.reports(post, row)}
    assert reports["picture.wav6"]["fault"]["code"] == "unsupported_format"
    assert "PNG" in reports["picture.wav6"]["fault"]["detail"]
    assert "truncated" in reports["cut.mp37"]["flags"]
    assert "too_short" in reports["blip.wav8"]["flags"]
    assert reports["gone.wav9"]["fault"]["code"] == "file_missing"
    assert reports["../../etc/passwd10"]["fault"]["code"] == "path_outside"
    assert reports["a.wav0"]["fault"]["code"] == reports["a.wav11"]["fault"]["code"] == "labels_differ"
    faults = row.profile["audio"]["faults"]
    assert [each["file"] for each in faults if each["code"] == "row_missing"] == ["forgotten.wav"]
    assert row.profile["audio"]["faults_total"] == len(faults) == 6
    assert row.profile["audio"]["tracks"] == 7
    assert "tracks_unusable" in [warning["code"] for warning in row.profile["warnings"]]


def test_a_dataset_of_which_nothing_can_be_used_is_rejected_with_every_reason(post: Post, tenant: str) -> None:
    row, job = recorded.ingest(post, tenant, {"x.wav": PNG, "y.mp3": b"no sound at all", "z.flac": b"fLaC"})

    assert job.state == jobs.FAILED
    assert row.state == datasets.REJECTED
    assert job.error["code"] == "dataset_rejected"
    assert [fault["file"] for fault in job.error["errors"]] == ["x.wav", "y.mp3", "z.flac"]


def test_the_same_recording_is_heard_once(post: Post, tenant: str, songs: dict[str, bytes]) -> None:
    first, _ = recorded.ingest(
        post, tenant, {"one.wav": songs["a.wav"], "two.wav": songs["a.wav"], "b.flac": songs["b.flac"]}
    )
    known = count_features(post)
    second, job = recorded.ingest(post, tenant, {"c.mp3": songs["c.mp3"]}, base=first.id)

    assert known == 2
    assert count_features(post) == 3
    assert job.state == jobs.SUCCEEDED
    assert [each["file"] for each in recorded.reports(post, second)] == ["b.flac", "one.wav", "two.wav", "c.mp3"]
    reports = recorded.reports(post, first)
    assert {each["file"]: each["duplicate_of"] for each in reports} == {
        "b.flac": None,
        "one.wav": None,
        "two.wav": "one.wav",
    }


def test_a_wrong_name_is_the_fault_of_the_name_alone(post: Post, tenant: str, songs: dict[str, bytes]) -> None:
    wrong, _ = recorded.ingest(post, tenant, {"song.mp3": songs["d.ogg"], "b.flac": songs["b.flac"]})
    right, _ = recorded.ingest(post, tenant, {"song.mp3": songs["d.ogg"], "song.ogg": songs["d.ogg"]})
    again, _ = recorded.ingest(post, tenant, {"song.ogg": songs["d.ogg"], "also.mp3": songs["d.ogg"]})

    assert codes(recorded.reports(post, wrong)) == [None, "unsupported_format"]
    for row in (right, again):
        reports = {each["file"].partition(".")[2]: each for each in recorded.reports(post, row)}
        assert reports["ogg"]["fault"] is None
        assert "expected mp3 as the name says, received ogg-vorbis" in reports["mp3"]["fault"]["detail"]


def test_the_same_song_in_another_format_is_a_near_duplicate(post: Post, tenant: str, tmp_path: Path) -> None:
    long = {name: recorded.write(tmp_path / name, 220.0, seconds=20.0) for name in ("a.wav", "b.mp3", "c.opus")}
    other = {"d.wav": recorded.write(tmp_path / "d.wav", 220.0, seconds=20.0, seed=9)}

    row, _ = recorded.ingest(post, tenant, {**long, **other})

    assert [each["duplicate_of"] for each in recorded.reports(post, row)] == [None, "a.wav", "a.wav", None]
    assert row.profile["audio"]["duplicates_total"] == 2


@pytest.mark.parametrize(
    ("alike", "firsts"),
    [
        ([], [0, 1, 2, 3, 4]),
        ([(3, 4), (2, 3), (1, 2)], [0, 1, 1, 1, 1]),
        ([(4, 0), (3, 1), (4, 3)], [0, 0, 2, 0, 0]),
        ([(0, 0), (1, 1)], [0, 1, 2, 3, 4]),
    ],
)
def test_what_is_alike_by_way_of_others_is_one_group(alike: list[tuple[int, int]], firsts: list[int]) -> None:
    assert audio_intake._firsts(5, alike) == firsts


def test_many_copies_are_one_group_whatever_their_names(post: Post, tenant: str, tmp_path: Path) -> None:
    contents = [recorded.write(tmp_path / f"{place}.wav", 220.0, seconds=16.0 + place / 8) for place in range(12)]
    names = [f"{name}.wav" for name in "lkjihgfedcba"]
    files = dict(zip(names, contents, strict=True))

    row, _ = recorded.ingest(
        post, tenant, {**files, "manifest.csv": manifest([(name,) for name in names], header="file")}
    )

    assert [each["duplicate_of"] for each in recorded.reports(post, row)] == [None, *["l.wav"] * 11]


def test_excerpts_are_tracks_of_their_own(post: Post, tenant: str, tmp_path: Path) -> None:
    content = recorded.write(tmp_path / "a.wav", 300.0, seconds=10.0)
    listed = manifest([("a.wav", 0, 4), ("a.wav", 4, 10), ("a.wav", 12, 14)], header="file,start,end")

    row, _ = recorded.ingest(post, tenant, {"a.wav": content, "manifest.csv": listed})

    reports = recorded.reports(post, row)
    assert [each["duration_s"] for each in reports] == [pytest.approx(4.0), pytest.approx(6.0), None]
    assert codes(reports) == [None, None, "excerpt_beyond_end"]
    with post.database.reading() as sql:
        contents = sql.execute(select(tracks.c.content).where(tracks.c.dataset == row.id)).scalars().all()
    assert len(set(contents)) == 3


def test_the_table_has_the_manifests_columns_and_ours(
    post: Post, tenant: str, songs: dict[str, bytes], tmp_path: Path
) -> None:
    row, _ = recorded.ingest(post, tenant, {**songs, "manifest.csv": manifest(rows_of(songs))}, drop=["artist"])

    (part,) = [part for part in row.parts if part["name"].endswith(".parquet")]
    table = pq.read_table(post.storage.fetch(part["key"], tmp_path / "part.parquet"))
    assert table.column_names[:2] == ["file", "genre"]
    assert table.column("etude.key").to_pylist() == list(songs)
    assert set(table.column("etude.fault").to_pylist()) == {None}


def test_a_training_set_without_a_group_is_warned_of(post: Post, tenant: str, songs: dict[str, bytes]) -> None:
    rows = [row[:2] for row in rows_of(songs)]

    row, _ = recorded.ingest(post, tenant, {**songs, "manifest.csv": manifest(rows, header="file,genre")})

    assert "no_group" in [warning["code"] for warning in row.profile["warnings"]]


def test_folders_stand_for_a_manifest(post: Post, tenant: str, songs: dict[str, bytes]) -> None:
    named = {
        f"{'rock' if place % 2 else 'folk'}/{name}": content for place, (name, content) in enumerate(songs.items())
    }

    row, job = recorded.ingest(post, tenant, named, target="folder")

    assert job.state == jobs.SUCCEEDED, job.error
    assert row.profile["classes"] == {"folk": 3, "rock": 3}


def test_a_cancelled_ingest_leaves_no_dataset_and_keeps_what_was_heard(
    post: Post, tenant: str, songs: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.desk.LEARNED_AT_ONCE", 1)
    many = {f"{place:03d}.wav": songs["a.wav"] + bytes(2 * place) for place in range(200)}
    dataset, job = recorded.upload(post, tenant, many)
    under_way = Working(post, queue="light")
    progress = working.wait(lambda: working.find(post, job).progress)
    working.wait(lambda: count_features(post) >= 2)

    working.cancel(post, tenant, job)
    under_way.join()

    assert working.find(post, job).state == jobs.CANCELLED
    assert (progress["unit"], progress["total"]) == ("tracks", 200)
    assert 0 < progress["metrics"]["hours"] < 200 * 4 / 3600
    with post.database.transaction() as sql:
        datasets.settle(sql)
        assert datasets.find(sql, tenant, dataset).state == datasets.REJECTED
    assert 2 <= count_features(post) < 200


def test_too_many_tracks_are_refused(
    post: Post, tenant: str, songs: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.audio_intake.MOST_TRACKS", 2)

    _, job = recorded.ingest(post, tenant, {name: songs[name] for name in ("a.wav", "b.flac", "c.mp3")})

    assert job.error["errors"][0]["code"] == "table_too_large"


def test_a_dataset_adds_only_to_one_of_its_format(post: Post, tenant: str, tmp_path: Path) -> None:
    table = working.store_dataset(post, tenant, tmp_path)

    with post.database.transaction() as sql, pytest.raises(Exception, match="format audio"):
        datasets.create(sql, tenant, name="x", format="audio", columns={}, base=table)
