"""Labels of a single recording are left out and named; a training ends only where nothing is left to tell apart."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import JobFailed
from tests.worker.hearing_cases import genres, heard, prepare, silent, track, tracks
from worker.kinds.protocol import Prepared

PARAMS: dict[str, Any] = {"listening": {"windows_per_segment": 1, "segments_per_track": 2}}


def left_out(prepared: Prepared) -> str:
    said = [caution.detail for caution in prepared.cautions if caution.code == "label_left_out"]
    assert len(said) == 1
    return said[0]


def tracks_of(prepared: Prepared) -> int:
    return int(sum(prepared.split["tracks"].values()))


def test_the_only_track_of_a_class_is_left_out_with_it(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, {"genre": [*genres(10), "jazz"]}, tracks(11), PARAMS)

    assert "left out: 1," in left_out(prepared) and "the 1 tracks" in left_out(prepared)
    assert prepared.target["labels"] == ["pop", "rock"] and tracks_of(prepared) == 10


def test_a_class_whose_other_tracks_cannot_be_heard_is_left_out_as_well(tmp_path: Path) -> None:
    found = [*tracks(11), silent(track(11))]

    prepared = prepare(tmp_path, {"genre": [*genres(10), "jazz", "jazz"]}, found, PARAMS)

    assert "left out: 1," in left_out(prepared) and "jazz" not in prepared.target["labels"]


def test_two_recordings_that_sound_the_same_are_one(tmp_path: Path) -> None:
    found = [*tracks(11), heard(track(11, same_as=10), 0)]

    prepared = prepare(tmp_path, {"genre": [*genres(10), "jazz", "jazz"]}, found, PARAMS)

    assert "left out: 1," in left_out(prepared) and tracks_of(prepared) == 10


def test_two_different_tracks_are_enough(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, {"genre": [*genres(10), "jazz", "jazz"]}, tracks(12), PARAMS)

    assert prepared.target["labels"] == ["jazz", "pop", "rock"]
    assert "label_left_out" not in {caution.code for caution in prepared.cautions}


def test_classes_that_are_numbers_are_counted_too(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, {"genre": [*[number % 2 for number in range(10)], 7]}, tracks(11), PARAMS)

    assert "left out: 1," in left_out(prepared) and prepared.target["labels"] == ["0", "1"]


def test_when_no_two_classes_remain_the_training_ends_and_says_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="Add tracks of the 1 others") as caught:
        prepare(tmp_path, {"genre": [*["pop"] * 5, "rock"]}, tracks(6), PARAMS)

    assert caught.value.code == "class_too_small"
    assert caught.value.faults[0].message == "expected at least 2 usable tracks of each label"


def test_a_rare_one_of_several_labels_is_taken_out_and_its_track_stays(tmp_path: Path) -> None:
    labels = ["rock|live" if number % 2 else "pop" for number in range(10)]
    labels[3] = "rock | bootleg"
    labels[4] = "demo"

    prepared = prepare(tmp_path, {"genre": labels}, tracks(10), {**PARAMS, "label_separator": "|"})

    assert left_out(prepared).endswith("left out: 2")
    assert prepared.target["labels"] == ["live", "pop", "rock"] and tracks_of(prepared) == 10


def test_a_rare_column_of_flags_is_no_target_any_more(tmp_path: Path) -> None:
    columns = {
        "rock": [number % 2 for number in range(10)],
        "live": [number // 5 for number in range(10)],
        "demo": [int(number == 3) for number in range(10)],
    }

    prepared = prepare(tmp_path, columns, tracks(10), PARAMS, target=("rock", "live", "demo"))

    assert "'demo'" in left_out(prepared) and prepared.target["labels"] == ["rock", "live"]


def test_the_numbers_of_a_regression_may_be_met_once(tmp_path: Path) -> None:
    columns = {"tempo": [float(number) for number in range(10)]}

    prepared = prepare(tmp_path, columns, tracks(10), PARAMS, target=("tempo",), kind="regression")

    assert tracks_of(prepared) == 10


def test_fractions_are_told_to_be_no_labels(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="regression") as caught:
        prepare(tmp_path, {"genre": [0.5 + number for number in range(6)]}, tracks(6), PARAMS)

    assert caught.value.code == "target_not_labels"
