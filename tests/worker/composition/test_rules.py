"""Rules of part-writing as masks, against the figures by which pieces are judged."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.composition.rules import Rules, allowed, grammar
from worker.composition.voice_coding import HOLD, SILENCE, STRIKE, VoiceCoding
from worker.symbolic import voice_leading
from worker.symbolic.grid import REST

CODING = VoiceCoding(voices=3, resolution=4, low=50, high=70)
PITCH = st.sampled_from([REST, *range(50, 71)])
FREE = Rules(np.full(3, 50), np.full(3, 70), parallels=False, crossing=False)


def pitch_after(token: int, before: int) -> int:
    return before if token == HOLD else REST if token == SILENCE else CODING.low + token - STRIKE


@given(st.lists(PITCH, min_size=3, max_size=3), st.lists(PITCH, min_size=3, max_size=3), st.integers(0, 2))
def test_what_is_allowed_is_what_makes_no_parallels_and_no_crossing(
    before: list[int], now: list[int], voice: int
) -> None:
    known = np.arange(3) != voice
    rows = [np.array([each]) for each in (before, before, now)]

    for rules, count in (
        (Rules(FREE.low, FREE.high, parallels=True, crossing=False), lambda two: sum(voice_leading.parallels(two)[:2])),
        (Rules(FREE.low, FREE.high, parallels=False, crossing=True), lambda two: voice_leading.crossings(two[1:])[0]),
    ):
        may = allowed(rules, CODING, voice, *rows, known)[0]
        for token in range(CODING.tokens[voice]):
            after = list(now)
            after[voice] = pitch_after(token, before[voice])
            pairs = [[other, voice] if other < voice else [voice, other] for other in range(3) if other != voice]
            two = np.array([before, after])
            assert may[token] == (sum(count(two[:, pair]) for pair in pairs) == 0)


def test_no_voice_leaps_further_than_it_may_be_it_after_a_silence() -> None:
    rules = Rules(FREE.low, FREE.high, parallels=False, crossing=False, leap=3)
    before, last = np.array([[REST, 60, 60]]), np.array([[65, 60, REST]])

    first = allowed(rules, CODING, 0, before, last, before, np.zeros(3, bool))[0]
    third = allowed(rules, CODING, 2, before, last, before, np.zeros(3, bool))[0]

    assert np.nonzero(first[STRIKE:])[0].tolist() == [12, 13, 14, 15, 16, 17, 18]
    assert third.all()


def test_a_voice_strikes_within_its_range_only() -> None:
    rules = Rules(np.array([60, 50, 50]), np.array([62, 70, 70]), parallels=False, crossing=False)
    before = np.array([[66, 60, 55]])

    may = allowed(rules, CODING, 0, before, before, before, np.zeros(3, bool))[0]

    assert np.nonzero(may[STRIKE:])[0].tolist() == [10, 11, 12]
    assert may[HOLD]


def test_rules_are_given_up_by_name() -> None:
    rules = Rules(np.full(3, 60), np.full(3, 60), leap=2)

    left = rules.without(frozenset({"leap", "parallels", "crossing", "ranges"}), CODING)

    assert (left.leap, left.parallels, left.crossing) == (None, False, False)
    assert (left.low.tolist(), left.high.tolist()) == ([50] * 3, [70] * 3)


def test_only_sequences_that_are_written_so_are_made() -> None:
    before = np.array([[REST, 60, 60]])

    assert not grammar(CODING, 0, before, is_first=True)[0, HOLD]
    assert not grammar(CODING, 0, before, is_first=False)[0, SILENCE]
    assert grammar(CODING, 1, before, is_first=False)[0].all()
