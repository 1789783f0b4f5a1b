"""From tracks to matrices: what belongs together stays together, what is rare is named, tracks weigh alike."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import JobFailed
from shared.kinds.classification import TrainParams
from tests.worker.hearing_cases import genres, heard, prepare, silent, track, tracks
from worker import audio_training
from worker.audio_training import weigh
from worker.kinds.protocol import Prepared
from worker.private import plan as plans
from worker.training import Table

# One segment a window: whose segment it is can be told from its numbers.
LISTENING = {"windows_per_segment": 1, "segments_per_track": 4}
PARAMS: dict[str, Any] = {"listening": LISTENING, "preprocess": "none"}
NETWORK: dict[str, Any] = {"preset": "network", "listening": LISTENING}


def cautions(prepared: Prepared) -> dict[str, str]:
    return {caution.code: caution.detail for caution in prepared.cautions}


def sides(prepared: Prepared, found: list[Any]) -> tuple[set[int], set[int]]:
    """The numbers of the tracks on either side, by their embeddings."""
    return _owners(prepared.train, found), _owners(prepared.validation, found)


def _owners(table: Table | None, found: list[Any]) -> set[int]:
    assert table is not None
    every = [audio_training.embedding(each) for each in found if each.fault is None]
    numbers = [each.track.number for each in found if each.fault is None]
    owner = {
        part[row].tobytes(): number for number, part in zip(numbers, every, strict=True) for row in range(len(part))
    }
    return {owner[np.ascontiguousarray(row).tobytes()] for row in table.x}


def test_the_numbers_of_an_embedding_stand_beside_the_truth_of_their_track(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, {"genre": genres(10)}, tracks(10), PARAMS)

    assert prepared.validation is not None and prepared.is_pooled
    assert prepared.train.x.shape == (32, 400) and prepared.train.x.dtype == np.float32
    for table in (prepared.train, prepared.validation):
        is_rock = table.x.mean(axis=1) > 0.5
        assert np.array_equal(is_rock, table.y[:, 0] == 1)
    assert prepared.split["tracks"] == {"train": 8, "validation": 2}
    assert len(prepared.features) == 400 and prepared.features[7].name == "embedding.007"


def test_crops_stand_beside_the_truth_of_their_track_and_stay_half_precision(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, {"genre": genres(10)}, tracks(10), NETWORK)

    assert prepared.validation is not None
    assert prepared.train.x.shape == (32, 187, 96) and prepared.train.x.dtype == np.float16
    for table in (prepared.train, prepared.validation):
        lies_high = table.x[:, :, 26:].mean(axis=(1, 2)) > table.x[:, :, :26].mean(axis=(1, 2))
        assert np.array_equal(lies_high, table.y[:, 0] == 1)
    assert prepared.features == ()


def test_an_embedding_is_scaled_by_the_training_rows_unless_preprocessing_is_off(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, {"genre": genres(10)}, tracks(10), {"listening": LISTENING})

    np.testing.assert_allclose(prepared.train.x.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(prepared.train.x.std(axis=0), 1, atol=1e-3)


def test_nothing_in_the_manifest_is_learned_from(tmp_path: Path) -> None:
    columns = {"genre": genres(10), "tempo": [float(place) for place in range(10)], "licence": genres(10)}

    prepared = prepare(tmp_path, columns, tracks(10), PARAMS)

    assert prepared.train.x.shape[1] == 400


def test_of_tracks_that_are_refused_nothing_is_heard(tmp_path: Path) -> None:
    agreed = ["no" if number in (2, 5) else "yes" for number in range(12)]
    found = tracks(12)

    prepared = prepare(tmp_path, {"genre": genres(12), "agreed": agreed}, found, PARAMS, consent="agreed")

    train, validation = sides(prepared, found)
    assert train | validation == set(range(12)) - {2, 5}
    assert cautions(prepared)["rights_excluded"].startswith("2 rows")


def test_without_a_group_a_leak_is_suspected_and_with_one_it_is_not(tmp_path: Path) -> None:
    columns = {"genre": genres(12), "artist": [f"artist {number // 2}" for number in range(12)]}

    without = prepare(tmp_path, columns, tracks(12), PARAMS)
    grouped = prepare(tmp_path, columns, tracks(12), PARAMS, group="artist")

    assert "columns.group" in cautions(without)["leakage_suspected"]
    assert "leakage_suspected" not in cautions(grouped)
    train, validation = sides(grouped, tracks(12))
    assert train | validation == set(range(12))
    assert {number // 2 for number in train}.isdisjoint(number // 2 for number in validation)


@pytest.mark.parametrize("seed", range(4))
def test_recordings_that_sound_the_same_stay_on_one_side(tmp_path: Path, seed: int) -> None:
    found = [heard(track(number, same_as=number % 6 if number >= 6 else None), number % 2) for number in range(12)]

    prepared = prepare(tmp_path, {"genre": genres(12)}, found, {**PARAMS, "seed": seed})

    train, validation = sides(prepared, found)
    assert validation and {number % 6 for number in train}.isdisjoint(number % 6 for number in validation)


@pytest.mark.parametrize("seed", range(4))
def test_what_sounds_the_same_draws_artists_together_and_an_empty_artist_draws_nobody(
    tmp_path: Path, seed: int
) -> None:
    # 0 and 1 are by A, 1 sounds like 2, 2 and 3 are by B: all four belong together.
    found = [heard(track(number, same_as=1 if number == 2 else None), number % 2) for number in range(12)]
    artists = ["A", "A", "B", "B", *[None] * 8]

    prepared = prepare(
        tmp_path, {"genre": genres(12), "artist": artists}, found, {**PARAMS, "seed": seed}, group="artist"
    )

    _, validation = sides(prepared, found)
    assert validation & {0, 1, 2, 3} in (set(), {0, 1, 2, 3})
    assert validation - {0, 1, 2, 3} < set(range(4, 12))


def test_tracks_that_cannot_be_heard_are_left_out_and_counted(tmp_path: Path) -> None:
    found = tracks(10)
    found[3] = silent(track(3))

    prepared = prepare(tmp_path, {"genre": genres(10)}, found, PARAMS)

    assert cautions(prepared)["tracks_left_out"] == "1 tracks could not be heard, or are silent, and are left out"
    assert set.union(*sides(prepared, found)) == set(range(10)) - {3}


def test_a_track_without_a_label_is_not_even_heard(tmp_path: Path) -> None:
    labels: list[str | None] = [*genres(9), None]

    prepared = prepare(tmp_path, {"genre": labels}, tracks(10), PARAMS)

    assert "target_missing_rows" in cautions(prepared)
    assert set.union(*sides(prepared, tracks(10))) == set(range(9))


def test_fewer_than_four_tracks_are_too_few_and_it_is_said(tmp_path: Path) -> None:
    found = [*tracks(3), silent(track(3)), silent(track(4))]

    with pytest.raises(JobFailed, match="Only 3 tracks could be heard, expected at least 4") as caught:
        prepare(tmp_path, {"genre": genres(5)}, found, PARAMS)

    assert caught.value.code == "too_few_rows"


@pytest.mark.parametrize("preset", [PARAMS, NETWORK], ids=["embedding", "network"])
def test_every_track_weighs_the_same_however_many_segments_it_has(tmp_path: Path, preset: dict[str, Any]) -> None:
    found = tracks(10, windows=[1, 1, 2, 2, 3, 3, 4, 4, 40, 40])

    prepared = prepare(tmp_path, {"genre": genres(10)}, found, preset)

    weight = prepared.train.weight
    assert weight is not None and weight.mean() == pytest.approx(1, abs=1e-6)
    # 1, 2, 3 and 4 segments (40 windows are 4 segments): as many different weights, in inverse proportion.
    assert {round(weight.max() / each) for each in weight} <= {1, 2, 3, 4} and len(set(weight.tolist())) >= 3


def test_balanced_classes_weigh_the_same_and_so_do_the_tracks_of_one() -> None:
    owners = np.array([0, 0, 0, 0, 1, 2, 2])
    y = np.array([[1], [1], [1], [1], [1], [0], [0]], np.float32)

    weight = weigh(Table(np.empty((7, 1)), y, np.full(7, 3.0)), owners, is_balanced=True).weight

    assert weight is not None
    np.testing.assert_allclose(weight, 7 * np.array([1 / 16, 1 / 16, 1 / 16, 1 / 16, 1 / 4, 1 / 4, 1 / 4]), rtol=1e-6)


def test_a_private_training_hears_a_recording_as_one_and_asks_no_row_how_loud_it_is(tmp_path: Path) -> None:
    found = tracks(10, windows=[*[4] * 9, 2])
    asked = TrainParams.model_validate(
        {"listening": LISTENING, "privacy": {"noise_multiplier": 1.0, "labels": ["jazz", "pop", "rock"], "unit": "row"}}
    )
    params = plans.settled(asked, is_table=False)

    prepared = prepare(tmp_path, {"genre": genres(10)}, found, params.model_dump(mode="json"))

    assert prepared.train.weight is None and prepared.target["labels"] == ["jazz", "pop", "rock"]
    assert all((each.fill, each.mean, each.scale) == (None, 0.0, 1.0) for each in prepared.features)
    params = params.model_copy(update={"batch_size": 4})
    plan = plans.of(params, prepared.train_rows, prepared.train_groups)
    assert plan is not None and (plan.unit, len(plan.units)) == ("row", 8)
    assert plan.units.lengths.sum() == len(prepared.train.x) and plan.units.longest == 4


def test_a_regression_on_recordings_learns_in_standard_units(tmp_path: Path) -> None:
    columns = {"tempo": [60.0 + 10 * number for number in range(10)]}

    for preset in ({"listening": LISTENING}, NETWORK):
        prepared = prepare(tmp_path, columns, tracks(10), preset, target=("tempo",), kind="regression")
        assert prepared.train.y.mean() == pytest.approx(0, abs=1e-5)
        assert prepared.train.y.std() == pytest.approx(1, abs=1e-5)


def test_several_labels_a_track_go_to_all_its_segments(tmp_path: Path) -> None:
    labels = ["rock|live" if number % 2 else "pop" if number % 4 else "pop|live" for number in range(12)]

    prepared = prepare(tmp_path, {"genre": labels}, tracks(12), {**PARAMS, "label_separator": "|"})

    assert prepared.target["labels"] == ["live", "pop", "rock"] and prepared.train.y.shape[1] == 3
    assert np.array_equal(prepared.train.x.mean(axis=1) > 0.5, prepared.train.y[:, 2] == 1)


def test_the_preset_says_what_is_left_out_of_listening_and_lineage_tells_it() -> None:
    said = TrainParams.model_validate({"preset": "network", "listening": {"segments_per_track": 7}})

    assert (said.listens.windows_per_segment, said.listens.segments_per_track) == (1, 7)
    assert said.listens.augmentation is not None
    assert TrainParams.model_validate(said.model_dump(mode="json")) == said
    assert TrainParams().listens.segments_per_track == 60 and TrainParams().front is None
    off = TrainParams.model_validate({"preset": "network", "listening": {"augmentation": None}})
    assert off.front is not None and off.front.augmentation is None


def test_what_a_client_leaves_out_is_as_the_preset_has_it_and_as_ever_for_a_table() -> None:
    usual, said = TrainParams(), TrainParams.model_validate({"learning_rate": 0.01, "hidden": []})

    assert usual.of_recordings().hidden != usual.hidden
    assert (usual.of_recordings().learning_rate, usual.of_recordings().weight_decay) == (0.0003, 1.0)
    assert (said.of_recordings().learning_rate, said.of_recordings().hidden) == (0.01, [])
    assert TrainParams(optimizer="sgd").of_recordings().learning_rate == usual.learning_rate
    assert TrainParams(preset="network").of_recordings() == TrainParams(preset="network")


def test_an_embedding_cannot_be_augmented() -> None:
    with pytest.raises(ValueError, match="preset network"):
        TrainParams.model_validate({"listening": {"augmentation": {}}})
