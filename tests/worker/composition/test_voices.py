"""Pieces of voices are written as the network holds likely, around what is given, and within the rules."""

import numpy as np
import pytest

from shared.sequence_networks import Decoder, Gru
from worker.composition.rules import Rules
from worker.composition.voice_coding import HOLD, SILENCE, VoiceCoding
from worker.composition.voices import FREE, Plan, compose
from worker.sequences import learner, streams
from worker.sequences.spec import SequenceSpec, draw
from worker.sequences.stepping import Stepper
from worker.symbolic import voice_leading
from worker.symbolic.grid import REST, Grid

CODING = VoiceCoding(voices=3, resolution=4, low=55, high=70)
FRAMES = 24
RULES = Rules(np.full(3, 55), np.full(3, 70), leap=7)


def spec_of(network: Gru | Decoder) -> SequenceSpec:
    return SequenceSpec(network, CODING.codes, CODING.tokens, CODING.context)


def stepper_of(network: Gru | Decoder | None = None, *, sharp: float = 1.5, sings: bool = False) -> Stepper:
    """A network that has drawn its opinions, and holds them firmly."""
    spec = spec_of(network or Gru(type="gru", units=[12], embedding=6, head=16))
    weights = draw(spec, seed=2)
    bias = weights["output.bias"].copy()
    bias[:, SILENCE] = -20 if sings else 0
    return Stepper(spec, {**weights, "output.kernel": weights["output.kernel"] * sharp, "output.bias": bias})


def plan(given: np.ndarray | None = None, rules: Rules | None = None, **values: float) -> Plan:
    context = CODING.describe(np.arange(FRAMES) % 16, np.full(FRAMES, 16), ends_in=FRAMES)
    free = np.full((FRAMES, 3), FREE, np.int64)
    return Plan(context, free if given is None else given, rules, **values)


def seeds(count: int) -> list[tuple[int, int]]:
    return [(0, number) for number in range(count)]


def nothing() -> None:
    """No news."""


@pytest.mark.parametrize("network", [None, Decoder(type="decoder", layers=1, width=16, heads=2, reach=8, embedding=6)])
@pytest.mark.parametrize("rules", [None, RULES])
def test_the_likelihoods_of_a_piece_are_those_of_the_trained_network(
    network: Decoder | None, rules: Rules | None
) -> None:
    stepper = stepper_of(network)

    (made,) = compose(stepper, CODING, plan(rules=rules), seeds=seeds(1), check=nothing)

    grid = Grid(
        CODING.pitches_of(made.codes), CODING.struck(made.codes), np.arange(FRAMES) % 16, np.full(FRAMES, 16), 4
    )
    steps = CODING.steps(grid, is_ending=True)
    layout = streams.whole([steps], stepper.spec, rows=1, window=FRAMES)
    losses, _ = learner.measure(stepper.spec, stepper._weights, layout)
    assert (steps.codes == made.codes).all()
    assert np.abs(losses[0, 0] + made.likelihoods).max() < 1e-4


def test_tokens_come_as_often_as_the_network_says() -> None:
    stepper, count = stepper_of(), 4000
    first = plan()
    one_frame = Plan(first.context[:1], first.given[:1], None)

    made = compose(stepper, CODING, one_frame, seeds=seeds(count), check=nothing)

    counted = np.bincount([int(each.codes[0, 0]) for each in made], minlength=CODING.codes[0]) / count
    kept = stepper.begin(1)
    hidden = stepper.step(kept, stepper.first_codes(1), first.context[:1])
    logits = stepper.logits(hidden, 0)[0].astype(np.float64)
    # Nothing can be held in the first frame.
    shares = np.exp(logits[1:]) / np.exp(logits[1:]).sum()
    expected = np.zeros(CODING.codes[0])
    expected[0], expected[2::2] = shares[0], shares[1:]
    assert np.abs(counted - expected).max() < 4 * np.sqrt(0.25 / count)


def test_the_rules_hold_in_every_piece() -> None:
    made = compose(stepper_of(), CODING, plan(rules=RULES), seeds=seeds(12), check=nothing)

    for each in made:
        assert each.relaxed == []
        pitches = CODING.pitches_of(each.codes).astype(np.int64)
        assert voice_leading.parallels(pitches)[:2] == (0, 0)
        assert voice_leading.crossings(pitches)[0] == 0
        for voice in pitches.T:
            sounding = voice[voice != REST]
            assert np.abs(np.diff(sounding)).max(initial=0) <= 7


def test_without_them_they_are_broken() -> None:
    made = compose(stepper_of(), CODING, plan(), seeds=seeds(12), check=nothing)

    assert sum(voice_leading.crossings(CODING.pitches_of(each.codes))[0] for each in made) > 0


@pytest.mark.parametrize("voices", [[0], [2], [0, 1]])
def test_what_is_given_stands_as_it_is(voices: list[int]) -> None:
    (other,) = compose(stepper_of(), CODING, plan(rules=RULES), seeds=[(9, 9)], check=nothing)
    given = np.full((FRAMES, 3), FREE, np.int64)
    given[:, voices] = other.codes[:, voices]

    made = compose(stepper_of(), CODING, plan(given, RULES), seeds=seeds(3), check=nothing)

    for each in made:
        assert (each.codes[:, voices] == other.codes[:, voices]).all()
    assert any((each.codes != other.codes).any() for each in made)


def test_bars_that_are_set_free_are_written_between_those_that_stand() -> None:
    (other,) = compose(stepper_of(), CODING, plan(), seeds=[(9, 9)], check=nothing)
    given = other.codes.astype(np.int64).copy()
    given[8:16] = FREE

    (made,) = compose(stepper_of(), CODING, plan(given), seeds=seeds(1), check=nothing)

    wanted, found = (CODING.pitches_of(each) for each in (other.codes, made.codes))
    assert (wanted[:8] == found[:8]).all()
    assert (wanted[16:] == found[16:]).all()
    assert (wanted[8:16] != found[8:16]).any()


def test_the_same_seeds_give_the_same_pieces_and_others_others() -> None:
    first, second, third = (
        compose(stepper_of(), CODING, plan(rules=RULES), seeds=[(seed, 0)], check=nothing)[0] for seed in (1, 1, 2)
    )

    assert (first.codes == second.codes).all()
    assert (first.likelihoods == second.likelihoods).all()
    assert (first.codes != third.codes).any()


def test_where_the_rules_cannot_be_kept_together_they_are_given_up_and_the_frames_named() -> None:
    # The highest voice may only sing below the next, which is given, and this network never has one fall silent.
    given = np.full((FRAMES, 3), FREE, np.int64)
    given[:, 1] = CODING.codes_of(np.full(FRAMES, 70), np.arange(FRAMES) == 0)
    narrow = Rules(np.array([55, 55, 55]), np.array([60, 70, 70]), leap=None)
    given[0, 0] = CODING.codes_of(np.array([58]), np.array([True]))[0]

    (made,) = compose(stepper_of(sings=True), CODING, plan(given, narrow), seeds=seeds(1), check=nothing)

    assert made.relaxed
    assert all("crossing" in rules for _, rules in made.relaxed)
    assert (CODING.pitches_of(made.codes)[:, 1] == 70).all()


def test_at_temperature_0_the_likeliest_is_taken_whatever_the_seed() -> None:
    one, other = (
        compose(stepper_of(), CODING, plan(temperature=0.0), seeds=[(seed, 0)], check=nothing)[0] for seed in (1, 2)
    )

    assert (one.codes == other.codes).all()


def test_the_likeliest_alone_are_less_surprising() -> None:
    surprise = [
        -np.mean([each.likelihoods.mean() for each in compose(
            stepper_of(), CODING, plan(temperature=temperature, top_p=top_p), seeds=seeds(20), check=nothing)])
        for temperature, top_p in ((1.0, 1.0), (1.0, 0.5), (0.3, 1.0))
    ]  # fmt: skip

    assert surprise[1] < surprise[0]
    assert surprise[2] < surprise[0]


def test_it_can_be_left_at_any_frame() -> None:
    def leave() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compose(stepper_of(), CODING, plan(), seeds=seeds(1), check=leave)


@pytest.mark.parametrize("top_p", [0.5, 1e-6])
def test_of_what_the_rules_allow_the_likeliest_are_taken_and_no_rule_is_given_up_for_it(top_p: float) -> None:
    made = compose(stepper_of(), CODING, plan(rules=RULES, top_p=top_p), seeds=seeds(4), check=nothing)

    assert all(each.relaxed == [] for each in made)


def test_only_rules_that_were_asked_for_are_given_up() -> None:
    given = np.full((FRAMES, 3), FREE, np.int64)
    given[:, 1] = CODING.codes_of(np.full(FRAMES, 60), np.arange(FRAMES) == 0)
    # No pitch is left to the highest voice, and this network never has one fall silent.
    nothing_left = Rules(np.array([69, 55, 55]), np.array([68, 70, 70]), parallels=False, crossing=False)

    (made,) = compose(stepper_of(sings=True), CODING, plan(given, nothing_left), seeds=seeds(1), check=nothing)

    assert made.relaxed
    assert {rules for _, rules in made.relaxed} == {("ranges",)}


def test_what_was_given_and_has_ended_is_struck_again_or_left() -> None:
    given = np.full((FRAMES, 3), FREE, np.int64)
    given[:8] = CODING.codes_of(np.array([70, 65, 60]), np.zeros(3, bool))
    given[0] = CODING.codes_of(np.array([70, 65, 60]), np.ones(3, bool))
    fresh = np.zeros((FRAMES, 3), bool)
    fresh[8] = True
    asked = plan(given)
    made = compose(stepper_of(), CODING, Plan(asked.context, given, None, fresh), seeds=seeds(6), check=nothing)

    for each in made:
        held = ~CODING.struck(each.codes[8]) & (CODING.pitches_of(each.codes[8]) != REST)
        assert not held.any()


def test_where_all_that_is_likely_cannot_be_written_the_likeliest_that_can_is() -> None:
    stepper = stepper_of()
    bias = stepper._weights["output.bias"].copy()
    # In the first frame nothing can be held, and this network would hold.
    bias[:, HOLD] = 60
    holding = Stepper(stepper.spec, {**stepper._weights, "output.bias": bias})
    given = np.full((FRAMES, 3), FREE, np.int64)
    given[:, 1] = CODING.codes_of(np.full(FRAMES, 60), np.arange(FRAMES) == 0)

    made = compose(holding, CODING, plan(given, temperature=0.05), seeds=seeds(3), check=nothing)

    for each in made:
        assert np.isfinite(each.likelihoods).all()
        assert (each.codes[0] == 0).all() or CODING.struck(each.codes[0]).any()
