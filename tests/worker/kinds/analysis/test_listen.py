"""From what was heard of tracks to rows and files."""

import csv
import io
import json
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import pytest

from shared.audio_params import EMBEDDING_NETWORKS, Precision
from shared.errors import JobFailed
from shared.kinds.analysis import ScoreParams
from shared.pretrained import MTT_TAGS
from worker import lines
from worker.heard import Heard, Windows
from worker.kinds.analysis import listen
from worker.kinds.analysis.listen import Analyst
from worker.listener import MeansOfAll
from worker.pretrained.notes import Note
from worker.recordings import Track

RHYTHM = {"bpm": 120.0, "bpm_other": 60.0, "confidence": 0.9, "stability": 1.0, "beats": [0.5, 1.0, 1.5]}
SECOND = {"key": "C", "mode": "major"}
TONALITY = {
    "key": "A",
    "mode": "minor",
    "confidence": 0.7,
    "second": SECOND,
    "tuning_cents": 3.0,
    "chroma": [1 / 12] * 12,
}


def track(number: int) -> Track:
    return Track(number, f"song-{number}", f"{number}.wav", "0" * 64, "0" * 64, None, None, 9.0, None, None, None)


def heard(number: int, *loud: str, **more: Any) -> Heard:
    """Three windows in which these tags score 0.9, 0.8, 0.7."""
    tags = np.full((3, 50), 0.01, np.float32)
    for name in loud:
        tags[:, MTT_TAGS.index(name)] = [0.9, 0.8, 0.7]
    random = np.random.default_rng(number)
    windows = {name: Windows(tags, random.random((3, 200), np.float32)) for name in ("mtt-musicnn", "msd-musicnn")}
    return Heard(track(number), windows=windows, **more)


def analyst(model: str = "etude.tagger-mtt", **params: Any) -> Analyst:
    return listen.open(model, ScoreParams.model_validate(params))


def means_of(tracks: Sequence[Heard]) -> MeansOfAll:
    def means(_: Precision) -> Generator[tuple[Track, np.ndarray], None, None]:
        for each in tracks:
            if each.fault is None:
                halves = [each.windows[name].embedding.mean(axis=0) for name in EMBEDDING_NETWORKS]
                yield each.track, np.concatenate(halves)

    return means


def rows(made: Analyst, *tracks: Heard) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.encode(made.answer(tracks).fields).to_pylist()]


def test_a_row_has_the_tags_the_best_of_them_first() -> None:
    (row,) = rows(analyst(include=["tags"]), heard(0, "guitar", "slow"))

    assert row["top_tags"] == ["guitar", "slow"]
    assert row["tags"]["guitar"] == pytest.approx(0.8)
    assert list(row["tags"]) == list(MTT_TAGS)


def test_near_duplicates_are_one_tag_where_that_is_asked() -> None:
    made = analyst(include=["tags"], merge_tags=True)

    (row,) = rows(made, heard(0, "no voice"))

    assert row["top_tags"] == ["no vocals"]
    assert "no voice" not in row["tags"] and len(row["tags"]) < 50
    assert len(made.tags) == len(set(made.tags)) == len(row["tags"])


def test_a_chunk_without_tracks_has_the_same_columns_as_any_other() -> None:
    for params in ({}, {"include": ["notes"]}, {"similar": {"k": 3}}, {"include": ["spectrum", "loudness"]}):
        made = analyst(**params)
        full = made.answer([heard(0, music={"rhythm": RHYTHM, "tonality": TONALITY, "spectrum": {}, "character": {}})])
        empty = made.answer([])

        assert shape(empty.fields) == shape(full.fields)


def shape(fields: Any) -> dict[str, Any]:
    return {
        name: {inner: array.type for inner, array in field.items()} if isinstance(field, dict) else field.type
        for name, field in fields.items()
    }


def test_the_parts_of_the_music_are_flat_and_what_is_unknown_is_empty() -> None:
    music = {"rhythm": RHYTHM, "tonality": TONALITY, "spectrum": {}, "character": {}}
    silent = {**TONALITY, "key": None, "mode": None, "second": None}

    first, second = rows(
        analyst(include=["rhythm", "tonality"]),
        heard(0, music=music),
        heard(1, music={**music, "tonality": silent, "rhythm": {**RHYTHM, "bpm": None, "beats": []}}),
    )

    assert (first["rhythm"]["bpm"], first["rhythm"]["beat_count"], first["rhythm"]["beats"]) == (
        120.0,
        3,
        [0.5, 1.0, 1.5],
    )
    assert (first["tonality"]["key"], first["tonality"]["second_key"]) == ("A", "C")
    assert (second["rhythm"]["bpm"], second["rhythm"]["beats"]) == (None, [])
    assert (second["tonality"]["key"], second["tonality"]["second_mode"]) == (None, None)


def test_the_embedding_is_the_mean_of_both_networks() -> None:
    one = heard(0)

    (row,) = rows(analyst(include=["embedding"]), one)

    expected = np.concatenate([one.windows[name].embedding.mean(axis=0) for name in ("mtt-musicnn", "msd-musicnn")])
    np.testing.assert_allclose(row["embedding"], expected, atol=1e-5)


def test_what_is_not_asked_for_is_not_computed() -> None:
    assert analyst(include=["tags"]).wants.extractors() == ["mtt-musicnn@1"]
    assert analyst("etude.tagger-msd", include=["tags"]).wants.taggers == ("msd-musicnn",)
    assert analyst("etude.transcriber").wants.taggers == ()
    assert not analyst(include=["loudness"]).wants.extractors()


def test_neighbours_are_the_nearest_others(monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = [
        heard(0),
        heard(1),
        Heard(track(2), windows=heard(0).windows),
        Heard(track(3), fault=("audio_empty", "x")),
    ]

    made = analyst(include=["loudness"], similar={"k": 1}).prepared(means_of(tracks))

    (row,) = rows(made, tracks[0])
    assert row["similar"] == {"tracks": ["song-2"], "scores": [pytest.approx(1.0, abs=1e-5)]}


def test_a_tagger_says_tags_over_time_and_beats_in_files() -> None:
    made = analyst(over_time=True)

    files = {file.suffix: file.content.decode() for file in made.files(heard(0, "guitar", music={"rhythm": RHYTHM}))}

    table = list(csv.DictReader(io.StringIO(files["tags.csv"])))
    assert [row["guitar"] for row in table] == ["0.900000", "0.800000", "0.700000"]
    assert [row["start_s"] for row in table] == ["0.000", "2.992", "5.984"]
    assert files["beats.csv"].split() == ["time_s", "0.500", "1.000", "1.500"]


def test_notes_are_files_in_three_forms() -> None:
    note = Note(0.5, 1.0, 60, 90, 0.7)

    files = {file.suffix: file for file in analyst("etude.transcriber").files(heard(0, notes=[note]))}

    assert sorted(files) == ["notes.csv", "notes.jams", "notes.mid"]
    assert files["notes.mid"].content[:4] == b"MThd"
    assert "etude.transcriber 1" in files["notes.jams"].content.decode()


def test_the_transcriber_knows_no_tags() -> None:
    with pytest.raises(JobFailed, match="knows no tags"):
        analyst("etude.transcriber", include=["tags"])


def test_the_summary_counts_the_tracks_of_each_tag() -> None:
    made = analyst(include=["tags"])
    answer = made.answer([heard(0, "guitar"), heard(1, "guitar", "slow")])

    assert made.summarise(answer.totals, 2)["tags"] == {"guitar": 2, "slow": 1}


def test_a_reason_is_given_for_the_named_tag_or_for_the_first() -> None:
    made = analyst(include=["tags"], explain={})

    (first,) = made.claims(heard(0, "piano"), [])
    (named,) = made.claims(heard(0, "piano"), ["guitar"])

    assert (first.label, named.label) == ("piano", "guitar")
    assert [segment.score for segment in first.segments] == [pytest.approx(each) for each in (0.9, 0.8, 0.7)]
    with pytest.raises(JobFailed, match="knows no tag 'polka'"):
        made.claims(heard(0), ["polka"])
