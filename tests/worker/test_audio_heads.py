"""Networks trained on recordings, from the first epoch through their files to scores and reasons of other tracks."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from shared.audio_params import EMBEDDING_NETWORKS
from shared.errors import JobFailed
from shared.kinds import KINDS
from tests.worker.hearing_cases import genres, heard, prepare, track, tracks
from tests.worker.training_cases import Silent
from worker import artifacts, audio_heads, distribution, drift, evaluation, features, kinds, training
from worker.artifacts import Model
from worker.audio_heads import Head
from worker.perception import Heard, Windows
from worker.pretrained import musicnn

LISTENING = {"windows_per_segment": 1, "segments_per_track": 3}
EMBEDDING: dict[str, Any] = {"listening": LISTENING, "hidden": [{"units": 8}], "epochs": 30, "seed": 3}
NETWORK: dict[str, Any] = {
    "preset": "network", "listening": LISTENING, "hidden": [{"units": 16}], "epochs": 10, "batch_size": 8, "seed": 3,
    "learning_rate": 0.003,
}  # fmt: skip
THREE = ["jazz", "pop", "rock"]


@dataclass(frozen=True)
class Trained:
    model: Model
    head: Head
    metrics: dict[str, Any]
    baselines: dict[str, Any]


def train(
    folder: Path,
    columns: Any,
    found: list[Heard],
    params: dict[str, Any],
    *,
    kind: str = "classification",
    **roles: Any,
) -> Trained:
    """As the pipeline trains, and through the model's files."""
    chosen, learner = KINDS[kind].ACTIONS["train"].model_validate(params), kinds.find(kind)
    prepared = prepare(folder, columns, found, params, kind=kind, **roles)
    network, objective = learner.model.describe(prepared, chosen)
    network = network if chosen.front is None else network.under(chosen.front)
    held_out = prepared.validation
    fitted = training.fit(
        network, objective, chosen, train=prepared.train, validation=held_out, watch=Silent(), checkpoint=None
    )
    outputs = evaluation.answers(network, fitted.weights, prepared)
    metrics, rivals = evaluation.judge(learner, prepared, outputs, chosen, check=lambda: None)
    said = features.as_json(prepared.features)
    made = Model(kind, network, fitted.weights, said, prepared.target, audio_heads.describe(chosen))
    answers = evaluation.by_row(prepared, outputs)
    made = replace(made, counts=distribution.at_training(learner.predict.open(made), prepared, answers))
    model = artifacts.unpack(artifacts.pack(made))
    head = audio_heads.open(model, learner.predict.open(model), precision="float32")
    return Trained(model, head, metrics, rivals)


@pytest.fixture(scope="module", params=[EMBEDDING, NETWORK], ids=["embedding", "network"])
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Rock and pop told apart."""
    return train(tmp_path_factory.mktemp("two"), {"genre": genres(20)}, tracks(20), request.param)


@pytest.fixture(scope="module", params=[EMBEDDING, NETWORK], ids=["embedding", "network"])
def three(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Three classes, untrained but for two epochs: a softmax."""
    columns = {"genre": [THREE[number % 3] for number in range(12)]}
    return train(tmp_path_factory.mktemp("three"), columns, tracks(12), {**request.param, "epochs": 2})


def strangers(count: int = 10) -> list[Heard]:
    """Tracks that no training has met."""
    return [heard(track(1000 + number), number % 2, windows=2 + number % 3, seed=9) for number in range(count)]


def test_two_timbres_are_told_apart_in_tracks_that_were_never_heard(two: Trained) -> None:
    answer = two.head.answer(strangers())

    assert answer.fields["prediction"].to_pylist() == genres(10)


def test_the_metrics_are_of_tracks_and_those_of_segments_stand_beside_them(two: Trained) -> None:
    assert two.metrics["validation"]["accuracy"]["value"] == 1.0
    assert set(two.metrics) == {"validation", "segments"}
    # The logarithm is concave: the mean of a track's segments is never further from the truth than they are on average.
    of_tracks, of_segments = (two.metrics[part]["log_loss"]["value"] for part in ("validation", "segments"))
    # Of segments that belong to a track as many are drawn as the track has.
    assert all(two.metrics[part]["log_loss"]["interval"] is not None for part in two.metrics)
    # Probabilities near 1 lie 6e-8 apart in single precision.
    assert of_tracks < of_segments + 1e-7
    # Every training has baselines, and here the simplest features are enough for them.
    assert two.baselines["validation"]["logistic_regression"]["accuracy"]["value"] == 1.0


def test_a_track_s_answer_is_the_mean_of_its_segments_whoever_stands_beside_it(two: Trained) -> None:
    found = strangers(4)

    together = two.head.answer(found).fields["probabilities"]["rock"].to_numpy()
    alone = [two.head.answer([each]).fields["probabilities"]["rock"].to_numpy()[0] for each in found]
    means = [float(two.head.outputs(each).mean()) for each in found]

    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together, means, atol=1e-6)
    assert len(two.head.outputs(found[1])) == 3


def test_the_same_track_is_answered_the_same_again(two: Trained) -> None:
    first, again = (two.head.outputs(strangers(1)[0]) for _ in range(2))

    assert np.array_equal(first, again)


def test_drift_is_told_of_tracks_and_of_their_mean_embedding(two: Trained) -> None:
    before, found = two.model.counts, strangers(40)
    assert before is not None and before.rows == 16
    answer = two.head.answer(found)
    one_sided = two.head.answer([each for each in found if each.track.number % 2])

    now = before.filled(before.count(answer.given, answer.said, 40))
    moved = before.filled(before.count(one_sided.given, one_sided.said, 20))
    is_network = two.model.network.front is not None
    assert bool(now.inputs) != is_network and all(sum(each.counts) == 40 for each in now.inputs)
    prediction = next(each for each in now.outputs if each.bins.name == "prediction")
    assert prediction.counts == (20, 20, 0)
    (since,) = [each for each in drift.compare(now.outputs, moved.outputs) if each.name == "prediction"]
    assert drift.has_moved(since, 0.2) and {since.now, since.before} <= {0.0, 0.5, 1.0}


def test_no_tracks_have_an_answer_without_rows(two: Trained) -> None:
    assert len(two.head.answer([]).fields["prediction"]) == 0


def test_the_files_say_what_is_listened_to(two: Trained) -> None:
    is_network = two.model.network.front is not None

    assert two.model.input is not None
    assert two.model.input["preset"] == ("network" if is_network else "embedding")
    assert two.model.input["listening"]["segments_per_track"] == 3
    assert two.head.wants.mel == is_network
    assert two.head.wants.taggers == (() if is_network else EMBEDDING_NETWORKS)


def test_a_model_whose_preset_is_not_that_of_its_network_is_damaged(two: Trained) -> None:
    assert two.model.input is not None
    other = {"network": "embedding", "embedding": "network"}[two.model.input["preset"]]
    wrong = replace(two.model, input={**two.model.input, "preset": other})

    with pytest.raises(JobFailed) as caught:
        audio_heads.open(wrong, two.head.scorer, precision="float32")

    assert caught.value.code == "integrity"


def test_a_claim_names_the_label_the_windows_and_how_sure_each_segment_is(two: Trained) -> None:
    each = heard(track(1), 1, windows=3, seed=9)

    (claim,) = two.head.claims(each, [])
    (other,) = two.head.claims(each, ["pop"])

    assert claim.label == "rock" and claim.score > 0.5
    assert [(segment.first, segment.windows) for segment in claim.segments] == [(0, 1), (1, 1), (2, 1)]
    np.testing.assert_allclose(claim.score + other.score, 1, atol=1e-6)


def test_a_label_that_the_model_does_not_know_cannot_be_explained(two: Trained) -> None:
    with pytest.raises(JobFailed, match="'polka'") as caught:
        two.head.claims(strangers(1)[0], ["polka"])

    assert caught.value.code == "label_unknown"


def real(seed: int) -> Heard:
    """A track whose embedding is what the taggers say of its spectrogram."""
    shown = heard(track(seed), 1, windows=1, seed=seed)
    assert shown.mel is not None
    cut = musicnn.windows(shown.mel.astype(np.float32))
    said = {name: Windows(*musicnn.load(name).run(cut)) for name in EMBEDDING_NETWORKS}
    return replace(shown, windows=said, mel=None)


def windows_of(shown: Heard, seed: int) -> Any:
    mel = heard(track(seed), 1, windows=1, seed=seed).mel
    assert mel is not None
    return tf.constant(musicnn.windows(mel.astype(np.float32))[None])


@pytest.mark.parametrize("label", ["rock", "pop"])
def test_the_log_odds_that_are_explained_are_those_that_were_scored(two: Trained, three: Trained, label: str) -> None:
    for trained in (two, three):
        is_network = trained.model.network.front is not None
        shown = heard(track(5), 1, windows=1, seed=5) if is_network else real(5)
        (claim,) = trained.head.claims(shown, [label])

        odds = float(trained.head.judge(label)(windows_of(shown, 5))[0])

        np.testing.assert_allclose(1 / (1 + np.exp(-odds)), claim.score, atol=2e-4)


def test_a_regression_is_scored_in_the_client_s_units(tmp_path: Path) -> None:
    columns = {"tempo": [60.0 + 80 * (number % 2) for number in range(20)]}

    trained = train(tmp_path, columns, tracks(20), EMBEDDING, kind="regression", target=("tempo",))

    said = trained.head.answer(strangers()).fields["prediction"].to_numpy()
    # Few tracks, few epochs: nearer to its own tempo than to the other.
    np.testing.assert_allclose(said, [60.0 + 80 * (number % 2) for number in range(10)], atol=39)
    (claim,) = trained.head.claims(strangers(1)[0], [])
    assert (claim.label, claim.of) == ("tempo", "prediction")
    assert claim.score == pytest.approx(said[0], rel=1e-5)


def test_a_regression_is_explained_in_the_client_s_units(tmp_path: Path) -> None:
    columns = {"tempo": [60.0 + 80 * (number % 2) for number in range(20)]}
    trained = train(tmp_path, columns, tracks(20), EMBEDDING, kind="regression", target=("tempo",))
    shown = real(5)

    (claim,) = trained.head.claims(shown, [])
    tempo = float(trained.head.judge("tempo")(windows_of(shown, 5))[0])

    assert 40 < tempo < 160
    np.testing.assert_allclose(tempo, claim.score, rtol=1e-3)


def test_several_labels_are_each_scored(tmp_path: Path) -> None:
    labels = ["rock|live" if number % 2 else "pop|live" if number % 4 else "pop" for number in range(20)]

    trained = train(tmp_path, {"genre": labels}, tracks(20), {**EMBEDDING, "label_separator": "|"})

    said = trained.head.answer(strangers()).fields["prediction"].to_pylist()
    assert all(("rock" in each) == bool(number % 2) for number, each in enumerate(said))
