"""Spans of time become values that fill them, on whatever grid their beats have."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.symbolic import note_values
from worker.symbolic.note_values import Span, Value
from worker.symbolic.piece import TICKS

QUARTERS = {name: Fraction(8, 1 << place) for place, name in enumerate(note_values.NAMES)}


@st.composite
def bars(draw: st.DrawFn) -> list[Span]:
    """Notes and rests that fill a few beats, each of which is divided into eighths or sixths, or not at all."""
    edges = {0}
    beats = draw(st.integers(1, 6))
    for beat in range(beats):
        parts = draw(st.sampled_from([1, 2, 4, 6, 8]))
        places = draw(st.sets(st.integers(0, parts - 1)))
        edges |= {beat * TICKS + place * TICKS // parts for place in places}
    ordered = [*sorted(edges), beats * TICKS]
    rests = draw(st.lists(st.booleans(), min_size=len(ordered), max_size=len(ordered)))
    return [Span(start, end, rest) for start, end, rest in zip(ordered[:-1], ordered[1:], rests[1:], strict=True)]


def quarters(value: Value) -> Fraction:
    assert value.name is not None
    plain = QUARTERS[value.name] * (2 - Fraction(1, 1 << value.dots))
    return plain * Fraction(2, 3) if value.is_triplet else plain


@settings(deadline=None)
@given(spans=bars())
def test_the_values_of_a_span_fill_it_and_are_as_long_as_they_are_called(spans: list[Span]) -> None:
    for span, values in zip(spans, note_values.write(spans), strict=True):
        ends = [value.start + value.length for value in values]
        assert [value.start for value in values] == [span.start, *ends[:-1]]
        assert ends[-1] == span.end
        assert all(quarters(value) * TICKS == value.length for value in values)


@settings(deadline=None)
@given(spans=bars())
def test_triplets_fill_their_beats_and_their_brackets_are_in_turn(spans: list[Span]) -> None:
    triplets = [value for values in note_values.write(spans) for value in values if value.is_triplet]

    edges = [edge for value in triplets for edge in value.bracket]
    assert edges == ["start", "stop"] * (len(edges) // 2)
    for beat in {value.start // TICKS for value in triplets}:
        assert sum(value.length for value in triplets if value.start // TICKS == beat) == TICKS


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 1 / 3, 2 / 3], [0, 1 / 3, 2 / 3]),
        ([0, 1 / 8, 3 / 8], [0, 1 / 8, 3 / 8]),
        ([0.01, 0.26, 0.49], [0, 0.25, 0.5]),
        ([0.01, 0.34, 0.65], [0, 1 / 3, 2 / 3]),
        ([0.34, 0.67, 1.26, 1.74], [1 / 3, 2 / 3, 1.25, 1.75]),
        ([0.97], [1]),
    ],
)
def test_each_beat_has_the_grid_that_is_nearer(times: list[float], expected: list[float]) -> None:
    ticks = np.round(np.array(times) * TICKS).astype(np.int64)

    snapped, _ = note_values.snap(ticks, np.zeros(len(ticks), np.int64))

    assert (snapped / TICKS).tolist() == pytest.approx(expected)


def test_what_fits_no_value_is_written_without_a_name() -> None:
    ((value,),) = note_values.write([Span(0, 7, False)])

    assert value == Value(0, 7, None)
