"""A score becomes what one piano can play, and what is found is scored by its onsets."""

import itertools

import pytest

from bench import scores
from bench.scores import Played
from bench.transcribing import onset_f

A, C = 69, 60


def test_a_key_is_lifted_before_it_is_struck_again() -> None:
    found = list(scores._on_one_piano(iter([Played(1.0, 3.0, A), Played(2.0, 2.5, A), Played(1.5, 4.0, C)])))

    assert sorted(found) == [Played(1.0, 2.0, A), Played(1.5, 4.0, C), Played(2.0, 2.5, A)]


def test_voices_that_meet_on_a_key_are_one_note_as_long_as_the_longer() -> None:
    found = list(scores._on_one_piano(iter([Played(1.0, 1.5, A), Played(1.0001, 2.0, A)])))

    assert found == [Played(1.0001, 2.0, A)]


def test_a_real_score_is_read_within_its_seconds() -> None:
    found = scores.read("bach/bwv66.6")

    assert len(found) > 100 and found == sorted(found)
    assert min(note.onset_s for note in found) == scores.BEFORE_S
    assert {note.pitch for note in found} <= set(range(36, 85))
    for pitch in {note.pitch for note in found}:
        alone = [note for note in found if note.pitch == pitch]
        assert all(one.offset_s <= other.onset_s for one, other in itertools.pairwise(alone))


@pytest.mark.parametrize(
    ("found", "f"),
    [
        ([Played(1.04, 9.0, A), Played(2.0, 2.1, C)], 1.0),
        ([Played(1.06, 2.0, A), Played(2.0, 3.0, C)], 0.5),
        ([Played(1.0, 2.0, A + 1), Played(2.0, 3.0, C)], 0.5),
        ([Played(2.0, 3.0, C)], 2 / 3),
    ],
    ids=["whenever it ends", "late", "another pitch", "one missed"],
)
def test_a_note_is_found_by_its_onset_and_its_pitch(found: list[Played], f: float) -> None:
    truth = [Played(1.0, 2.0, A), Played(2.0, 3.0, C)]

    assert onset_f(truth, found) == pytest.approx(f)
