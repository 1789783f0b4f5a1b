"""Parallels, crossings, dissonances and chords, counted by hand and against a plain count over frames."""

import numpy as np
import pytest

from tests.worker.symbolic import made
from worker.symbolic import voice_leading
from worker.symbolic.grid import REST


@pytest.mark.parametrize(
    ("frames", "counted"),
    [
        ([[67, 60], [69, 62]], (1, 0, 1)),
        ([[67, 60], [65, 58]], (1, 0, 1)),
        ([[79, 60], [81, 62]], (1, 0, 1)),
        ([[72, 60], [74, 62]], (0, 1, 1)),
        ([[60, 60], [62, 62]], (0, 1, 1)),
        # A fourth is no fifth, not even where the voices have crossed.
        ([[65, 60], [67, 62]], (0, 0, 1)),
        ([[60, 65], [62, 67]], (0, 0, 1)),
        # From an octave to a double one: the voices part.
        ([[72, 60], [79, 55]], (0, 0, 1)),
        # A fifth that follows another interval is hidden, not parallel.
        ([[64, 60], [69, 62]], (0, 0, 1)),
        # Who repeats a note does not move.
        ([[67, 60], [67, 60]], (0, 0, 0)),
        ([[67, 60], [72, 60]], (0, 0, 0)),
        ([[67, REST], [69, 62]], (0, 0, 0)),
    ],
)
def test_parallels_of_two_voices(frames: list[list[int]], counted: tuple[int, int, int]) -> None:
    assert voice_leading.parallels(np.array(frames, np.int16)) == counted


def test_each_pair_of_voices_counts() -> None:
    pitches = np.array([[72, 67, 60], [74, 69, 62]])

    assert voice_leading.parallels(pitches) == (1, 1, 3)


@pytest.mark.parametrize("seed", range(3))
def test_parallels_are_those_of_a_plain_count(seed: int) -> None:
    pitches = made.wandering(seed, frames=400).pitches.astype(int)
    pitches[np.random.default_rng(seed).random(pitches.shape) < 0.05] = REST
    fifths = octaves = moved = 0
    for before, after in zip(pitches[:-1].tolist(), pitches[1:].tolist(), strict=True):
        for one in range(4):
            for other in range(one + 1, 4):
                a, b, c, d = before[one], before[other], after[one], after[other]
                if REST in (a, b, c, d) or a == c or b == d:
                    continue
                moved += 1
                if (c > a) == (d > b):
                    fifths += abs(a - b) % 12 == 7 == abs(c - d) % 12
                    octaves += abs(a - b) % 12 == 0 == abs(c - d) % 12

    assert voice_leading.parallels(pitches) == (fifths, octaves, moved)


def test_a_voice_below_a_lower_one_crosses_it() -> None:
    pitches = np.array([[60, 55], [54, 55], [55, 55], [REST, 55], [50, REST]])

    assert voice_leading.crossings(pitches) == (1, 3)


@pytest.mark.parametrize(
    ("chord", "is_harsh"),
    [
        ([60, 59], True),
        ([60, 58], True),
        ([71, 60], True),
        ([60, 54], True),
        ([74, 60], True),
        ([60, 55], False),
        ([64, 60], False),
        ([72, 60], False),
        ([72, 67, 64, 58], True),
    ],
)
def test_seconds_sevenths_and_tritones_are_dissonant(chord: list[int], is_harsh: bool) -> None:
    assert voice_leading.dissonances(made.grid([chord])) == (int(is_harsh), 1)


@pytest.mark.parametrize(("bar", "strong"), [(16, 4), (12, 3), (8, 8), (24, 3)])
def test_strong_are_the_first_beat_and_the_middle_of_an_even_bar(bar: int, strong: int) -> None:
    grid = made.grid([[60, 59]] * 32, bar=bar)

    assert voice_leading.dissonances(grid) == (strong, strong)


def test_a_pickup_is_not_strong() -> None:
    assert voice_leading.dissonances(made.grid([[60, 59]] * 4, pickup=4)) == (0, 0)


def test_chords_are_sets_of_pitch_classes_within_a_window() -> None:
    frames = [[60, 64], [72, 64], [64, 60], [62, 65]] + [[60, 64]] * 3 + [[REST, REST]]

    assert voice_leading.chords(np.array(frames), 4) == (3, 2)
    assert voice_leading.chords(np.array(frames), 9) == (0, 0)
