"""Pieces of notes are written as the network holds likely, after what is given."""

import numpy as np
import pytest

from shared.sequence_networks import Decoder, Gru
from worker.composition.event_coding import ADVANCE, INSTRUMENT, LONGEST_ADVANCE, NONE, EventCoding, Line
from worker.composition.events import EventPlan, compose
from worker.sequences import learner, streams
from worker.sequences.spec import SequenceSpec, draw
from worker.sequences.stepping import Stepper
from worker.symbolic.piece import NOTE, TICKS, Meter, Piece, Voice

CODING = EventCoding(resolution=4, instruments=(0, 128, 33))
BAR = 16
NETWORKS = [
    Gru(type="gru", units=[12], embedding=6, head=16),
    Decoder(type="decoder", layers=1, width=16, heads=2, reach=9, embedding=6, head=16),
]


def stepper_of(network: Gru | Decoder) -> Stepper:
    spec = SequenceSpec(network, CODING.codes, CODING.tokens, CODING.context)
    weights = draw(spec, seed=3)
    # It strikes together sometimes, and waits sometimes.
    bias = weights["output.bias"].copy()
    bias[ADVANCE, 0], bias[ADVANCE, CODING.wait] = 1.5, 1.0
    return Stepper(spec, {**weights, "output.bias": bias})


def plan(bars: int = 4, given: np.ndarray | None = None, given_units: int = 0, **values: float) -> EventPlan:
    none = np.zeros((0, len(CODING.tokens)), np.int32)
    tempered = {"temperature": 1.0, "top_p": 1.0, **values}
    return EventPlan(bars * BAR, BAR, none if given is None else given, given_units, None, **tempered)


def nothing() -> None:
    """No news."""


@pytest.mark.parametrize("network", NETWORKS, ids=["gru", "decoder"])
def test_the_likelihoods_of_a_piece_are_those_of_the_trained_network(network: Gru | Decoder) -> None:
    stepper = stepper_of(network)
    (made,) = compose(stepper, CODING, plan(), seeds=[(0, 0)], check=nothing)
    piece = CODING.piece(made.tokens, name="", meter=Meter(0, 4, 4), units=4 * BAR)

    advance = np.where(made.tokens[:, ADVANCE] == CODING.wait, LONGEST_ADVANCE * 4, made.tokens[:, ADVANCE])
    at = np.concatenate([[0], np.cumsum(advance)[:-1]])
    context = CODING.describe(at % BAR, np.full(len(at), BAR), left=4 * BAR - at)
    steps = streams.Steps(made.tokens, made.tokens, context)
    losses, _ = learner.measure(
        stepper.spec, stepper._weights, streams.whole([steps], stepper.spec, rows=1, window=512)
    )

    assert len(piece.notes) > 3
    assert np.abs(losses[0, 0, : len(made.tokens)] + made.likelihoods).max() < 1e-4


def test_a_step_that_waits_has_nothing_else_and_every_other_has_all() -> None:
    made = compose(stepper_of(NETWORKS[0]), CODING, plan(16), seeds=[(0, each) for each in range(5)], check=nothing)

    tokens = np.concatenate([each.tokens for each in made])
    waits = tokens[:, ADVANCE] == CODING.wait
    assert waits.any()
    assert ((tokens[:, INSTRUMENT:] == NONE) == waits[:, None]).all()


def test_what_is_given_stands_and_nothing_is_added_to_it() -> None:
    notes = np.array([(0, TICKS, 60, 80, 0), (TICKS, TICKS, 64, 80, 0), (3 * TICKS, TICKS // 2, 67, 80, 0)], NOTE)
    line = Line.of(Piece("", notes, (Voice("Piano"),)), resolution=4)
    given = CODING.steps(line).tokens

    for each in compose(
        stepper_of(NETWORKS[0]), CODING, plan(given=given, given_units=BAR), seeds=[(0, n) for n in range(8)],
        check=nothing,
    ):  # fmt: skip
        piece = CODING.piece(each.tokens, name="", meter=Meter(0, 4, 4), units=4 * BAR)
        early = piece.notes[piece.notes["onset"] < 4 * TICKS]
        assert early["pitch"].tolist() == [60, 64, 67]
        assert piece.length <= 16 * TICKS


def test_a_network_that_strikes_without_end_is_stopped() -> None:
    stepper = stepper_of(NETWORKS[0])
    bias = stepper._weights["output.bias"].copy()
    bias[ADVANCE] = -50
    bias[ADVANCE, 0] = 50
    stuck = Stepper(stepper.spec, {**stepper._weights, "output.bias": bias})

    (made,) = compose(stuck, CODING, plan(1), seeds=[(0, 0)], check=nothing)

    assert len(made.tokens) <= 64 * 4


def test_the_same_seed_gives_the_same_piece_and_temperature_0_whatever_the_seed() -> None:
    stepper = stepper_of(NETWORKS[0])
    one, again, other = (compose(stepper, CODING, plan(), seeds=[(s,)], check=nothing)[0].tokens for s in (1, 1, 2))
    cold = [compose(stepper, CODING, plan(temperature=0.0), seeds=[(s,)], check=nothing)[0].tokens for s in (1, 2)]

    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(*cold)
