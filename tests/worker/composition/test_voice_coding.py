"""Grids as steps: every grid is one sequence, and comes back from it as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker import chorales
from worker.composition.context import moved
from worker.composition.voice_coding import HOLD, SILENCE, STRIKE, VoiceCoding
from worker.symbolic import gridding
from worker.symbolic.grid import REST, Grid

CODING = VoiceCoding(voices=2, resolution=4, low=60, high=64)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    frames = draw(st.integers(1, 12))
    cells = draw(st.lists(st.sampled_from([REST, 60, 62, 64]), min_size=2 * frames, max_size=2 * frames))
    struck = draw(st.lists(st.booleans(), min_size=2 * frames, max_size=2 * frames))
    pitches = np.array(cells, np.int16).reshape(frames, 2)
    before = np.concatenate([np.full((1, 2), REST), pitches[:-1]])
    attacks = (pitches != REST) & (np.array(struck).reshape(frames, 2) | (pitches != before))
    return Grid(pitches, attacks, np.arange(frames) % 16, np.full(frames, 16), 4)


@given(grids())
def test_a_grid_comes_back_as_it_was(grid: Grid) -> None:
    steps = CODING.steps(grid)

    again = CODING.grid(steps.codes, grid.position, grid.bar)

    assert (again.pitches == grid.pitches).all()
    assert (again.attacks == grid.attacks).all()
    assert (steps.tokens < np.array(CODING.tokens)).all()
    assert (steps.codes < np.array(CODING.codes)).all()


@given(grids(), grids())
def test_two_grids_are_never_the_same_sequence(one: Grid, other: Grid) -> None:
    is_same = len(one) == len(other) and bool(
        (one.pitches == other.pitches).all() and (one.attacks == other.attacks).all()
    )

    assert (np.array_equal(CODING.steps(one).tokens, CODING.steps(other).tokens)) == is_same


def test_what_is_held_what_is_struck_again_and_what_falls_silent_are_three_things() -> None:
    pitches = np.array([[60], [60], [60], [REST], [REST]], np.int16)
    attacks = np.array([[1], [0], [1], [0], [0]], bool)
    coding = CODING.model_copy(update={"voices": 1})

    steps = coding.steps(Grid(pitches, attacks, np.arange(5), np.full(5, 16), 4))

    assert steps.tokens[:, 0].tolist() == [STRIKE, HOLD, STRIKE, SILENCE, HOLD]


def test_a_key_that_is_told_moves_with_the_piece() -> None:
    grid = gridding.to_grid(chorales.chorale(1, tonic=0), voices=4, resolution=4)
    assert grid is not None
    coding = VoiceCoding(voices=4, resolution=4, low=20, high=100)

    plain, up = (coding.steps(grid, shift=shift, key=0).context for shift in (0, 3))

    assert np.argwhere(plain[0] != up[0]).ravel().tolist() == [coding.context - 32, coding.context - 29]
    assert (moved(0, -1), moved(23, 2), moved(12, 11)) == (11, 13, 23)


def test_the_end_is_told_from_far_away_and_to_the_quarter() -> None:
    position, bar = np.arange(96) % 16, np.full(96, 16)

    ends = CODING.describe(position, bar, ends_in=96)[:, -8:]

    assert ends.sum(axis=1).tolist() == [1] * 96
    assert ends[0, 7] == ends[95, 0] == ends[91, 1] == 1
    assert CODING.describe(position, bar)[:, -8:].sum() == 0


@pytest.mark.parametrize("resolution", [4, 12])
def test_a_chorale_survives_the_grid(resolution: int) -> None:
    piece = chorales.chorale(5)
    grid = gridding.to_grid(piece, voices=4, resolution=resolution)
    assert grid is not None

    again = gridding.to_piece(grid, name="", bpm=90)

    assert again.notes[["onset", "duration", "pitch", "voice"]].tolist() == (
        piece.notes[["onset", "duration", "pitch", "voice"]].tolist()
    )


@pytest.mark.parametrize("resolution", range(1, 25))
def test_every_frame_knows_where_in_its_bar_it_is(resolution: int) -> None:
    grid = gridding.to_grid(chorales.chorale(5), voices=4, resolution=resolution)

    assert grid is not None
    assert grid.position.tolist() == [place % (4 * resolution) for place in range(16 * resolution)]
    assert set(grid.bar.tolist()) == {4 * resolution}
