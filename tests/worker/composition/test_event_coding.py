"""Lines of notes as steps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.composition.event_coding import ADVANCE, DRUMS, EventCoding, Line
from worker.symbolic.piece import NOTE, TICKS, Meter, Piece, Voice

RESOLUTION = 12
UNIT = TICKS // RESOLUTION
# Onset, duration, pitch, velocity, voice.
BOUNDS = ((0, 400), (1, 24), (0, 127), (1, 127), (0, 2))
VOICES = (Voice("Piano", 0), Voice("Drums", 0, is_drum=True), Voice("Bass", 33))


@st.composite
def pieces(draw: st.DrawFn) -> Piece:
    rows = draw(
        st.lists(
            st.tuples(*(st.integers(low, high) for low, high in BOUNDS)),
            min_size=1,
            max_size=20,
            unique_by=lambda row: (row[0], row[2], row[4]),
        )
    )
    notes = np.array([(on * UNIT, length * UNIT, pitch, loud, voice) for on, length, pitch, loud, voice in rows], NOTE)
    return Piece("", notes, VOICES, meters=(Meter(0, 4, 4),)).sorted()


def heard(piece: Piece) -> list[tuple[int, int, int, int]]:
    """Onset, duration, pitch and instrument of each note, in order."""
    played = [DRUMS if voice.is_drum else voice.program for voice in piece.voices]
    return sorted((int(n["onset"]), int(n["duration"]), int(n["pitch"]), played[n["voice"]]) for n in piece.notes)


@given(pieces())
def test_a_piece_comes_back_note_for_note_however_long_its_silences(piece: Piece) -> None:
    line = Line.of(piece, resolution=RESOLUTION)
    coding = EventCoding.of([line], RESOLUTION)
    steps = coding.steps(line)

    again = coding.piece(steps.tokens, name="", meter=Meter(0, 4, 4), units=10**6)

    assert heard(again) == heard(piece)
    assert (steps.tokens < np.array(coding.tokens)).all()
    assert steps.context.shape == (len(steps), coding.context)


@given(pieces(), st.integers(-5, 5))
def test_drums_are_never_transposed(piece: Piece, shift: int) -> None:
    line = Line.of(piece, resolution=RESOLUTION)
    coding = EventCoding.of([line], RESOLUTION)

    plain, moved = coding.steps(line).tokens, coding.steps(line, shift=shift).tokens

    drums = line.instrument == DRUMS
    assert (plain[drums] == moved[drums]).all()
    assert (plain[:, ADVANCE] == moved[:, ADVANCE]).all()


def test_a_line_with_an_instrument_that_was_not_learned_is_not_known() -> None:
    notes = np.array([(0, UNIT, 60, 80, 0)], NOTE)
    learned = Line.of(Piece("", notes, (Voice("", 40),)), resolution=RESOLUTION)
    other = Line.of(Piece("", notes, (Voice("", 42),)), resolution=RESOLUTION)
    coding = EventCoding.of([learned], RESOLUTION)

    assert coding.knows(learned)
    assert not coding.knows(other)
