"""A step at a time with what was before kept, and all at once: the same numbers."""

import numpy as np
import pytest

from shared.sequence_networks import Decoder, Gru
from worker.sequences import learner, streams
from worker.sequences.spec import SequenceSpec, draw
from worker.sequences.stepping import Stepper
from worker.sequences.streams import Steps

NETWORKS = {
    "gru": Gru(type="gru", units=[24, 16], embedding=8, head=20),
    "decoder": Decoder(type="decoder", layers=2, width=24, heads=3, reach=10, embedding=8, head=20),
}


def spec_of(network: Gru | Decoder) -> SequenceSpec:
    return SequenceSpec(network, codes=(5, 9, 4), tokens=(3, 7, 4), context=6)


def random_weights(spec: SequenceSpec) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    drawn = draw(spec, seed=1)
    return {name: (value + random.normal(0, 0.2, value.shape)).astype(np.float32) for name, value in drawn.items()}


def random_pieces(spec: SequenceSpec, lengths: list[int]) -> list[Steps]:
    random = np.random.default_rng(4)
    return [
        Steps(
            random.integers(0, spec.tokens, (length, spec.fields)).astype(np.int32),
            random.integers(0, spec.codes, (length, spec.fields)).astype(np.int32),
            random.normal(size=(length, spec.context)).astype(np.float32),
        )
        for length in lengths
    ]


def losses_step_by_step(stepper: Stepper, piece: Steps) -> np.ndarray:
    kept, codes, losses = stepper.begin(1), stepper.first_codes(1), []
    for step in range(len(piece)):
        hidden = stepper.step(kept, codes, piece.context[step : step + 1])
        codes = piece.codes[step : step + 1]
        for field in range(stepper.spec.fields):
            logits = stepper.logits(hidden, field)[0].astype(np.float64)
            losses.append(np.logaddexp.reduce(logits) - logits[piece.tokens[step, field]])
            stepper.tell(hidden, field, codes[:, field])
    return np.array(losses).reshape(len(piece), -1)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_the_sampler_assigns_token_by_token_is_what_the_trained_forward_pass_says(name: str) -> None:
    spec = spec_of(NETWORKS[name])
    weights, pieces = random_weights(spec), random_pieces(spec, [37, 5, 23, 1])

    layout = streams.whole(pieces, spec, rows=2, window=16)
    losses, _ = learner.measure(spec, weights, layout)

    stepper = Stepper(spec, weights)
    for number, piece in enumerate(pieces):
        at_once = losses[np.nonzero(layout.pieces == number)] if layout.tokens.shape[1] == 1 else None
        rows = np.moveaxis(losses, 0, 1).reshape(losses.shape[1], -1, spec.fields)
        places = np.moveaxis(layout.pieces, 0, 1).reshape(losses.shape[1], -1) == number
        at_once = rows[places]
        assert np.abs(at_once - losses_step_by_step(stepper, piece)).max() < 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_windows_of_any_length_say_the_same(name: str) -> None:
    spec = spec_of(NETWORKS[name])
    weights, pieces = random_weights(spec), random_pieces(spec, [37, 5, 23])

    said = [
        learner.measure(spec, weights, streams.whole(pieces, spec, rows=1, window=window))[0].reshape(-1, spec.fields)
        for window in (8, 65)
    ]

    assert np.abs(said[0][:65] - said[1][:65]).max() < 1e-4
