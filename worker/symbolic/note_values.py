"""Spans of time as what can be written: plain and dotted values, and triplets of a beat. All times in ticks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from worker.symbolic.piece import TICKS

NAMES = ("breve", "whole", "half", "quarter", "eighth", "16th", "32nd", "64th", "128th")
# Each half as long as the one before.
VALUES = tuple((name, 8 * TICKS >> place) for place, name in enumerate(NAMES))
# What a beat is divided into: thirty-seconds, or sixteenths of triplets.
PLAIN, TRIPLET = TICKS // 8, TICKS // 6
# In triplet sixteenths: what a note of a triplet is called, and its dots.
OF_TRIPLETS = {1: ("16th", 0), 2: ("eighth", 0), 3: ("eighth", 1), 4: ("quarter", 0)}


class Value(NamedTuple):
    """One written note or rest, from `start` on; `name` is None for a crumb that no value fits.

    `bracket` says whether it is the first or the last of its triplet.
    """

    start: int
    length: int
    name: str | None
    dots: int = 0
    is_triplet: bool = False
    bracket: tuple[str, ...] = ()


class Span(NamedTuple):
    """From `start` to `end` of a bar, both counted from where the bar would begin were it whole."""

    start: int
    end: int
    is_rest: bool


def snap(times: np.ndarray, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The times on the grid of their beat and how wide it is; `origins` are where their bars would begin.

    A beat, which is a quarter, has the grid from which all times in it are less off; thirty-seconds if both are.
    """
    beats, into = np.divmod(times - origins, TICKS)
    nearest = [(into + step // 2) // step * step for step in (PLAIN, TRIPLET)]
    _, group = np.unique(np.stack([origins, beats]), axis=1, return_inverse=True)
    group = group.reshape(-1)
    off = [np.bincount(group, np.abs(into - near)) for near in nearest]
    is_triplet = (off[1] < off[0])[group] if len(times) else np.zeros(0, bool)
    snapped = np.where(is_triplet, nearest[1], nearest[0])
    return origins + beats * TICKS + snapped, np.where(is_triplet, TRIPLET, PLAIN)


def write(spans: Sequence[Span]) -> list[list[Value]]:
    """The values of each span, which fill a bar one after another; those of a note are to be tied."""
    triplets = {
        edge // TICKS * TICKS
        for span in spans
        for edge in span[:2]
        if edge % TICKS % (TICKS // 2) and edge % TRIPLET == 0
    }
    return _bracketed([_values(span, triplets) for span in spans])


def _values(span: Span, triplets: set[int]) -> list[Value]:
    edges = {edge for beat in triplets for edge in (beat, beat + TICKS) if span.start < edge < span.end}
    cuts = [span.start, *sorted(edges), span.end]
    values: list[Value] = []
    for start, end in pairwise(cuts):
        if start // TICKS * TICKS in triplets:
            values += _of_triplet(start, end)
        else:
            values += _plain(start, end, is_rest=span.is_rest)
    return values


def _of_triplet(start: int, end: int) -> list[Value]:
    values: list[Value] = []
    while start < end:
        parts = min((end - start) // TRIPLET, 4)
        if parts == 0:
            return [*values, Value(start, end - start, None)]
        name, dots = OF_TRIPLETS[parts]
        values.append(Value(start, parts * TRIPLET, name, dots, is_triplet=True))
        start += parts * TRIPLET
    return values


def _plain(start: int, end: int, *, is_rest: bool) -> list[Value]:
    values: list[Value] = []
    while start < end:
        values.append(_longest(start, end, is_rest=is_rest))
        start += values[-1].length
    return values


def _longest(start: int, end: int, *, is_rest: bool) -> Value:
    """The longest value that begins where one of its kind may: a rest on its own multiples, a note also halfway."""
    for name, length in VALUES:
        if is_rest and start % length == 0 and length <= end - start:
            return Value(start, length, name)
        if not is_rest and start % (length // 2) == 0:
            if length * 3 // 2 <= end - start:
                return Value(start, length * 3 // 2, name, 1)
            if length <= end - start:
                return Value(start, length, name)
    return Value(start, end - start, None)


def _bracketed(written: list[list[Value]]) -> list[list[Value]]:
    """With the first and the last value of each triplet told."""
    flat = [value for values in written for value in values]
    beats = [value.start // TICKS if value.is_triplet else -1 for value in flat]
    marked = []
    for place, (value, beat) in enumerate(zip(flat, beats, strict=True)):
        is_first = place == 0 or beats[place - 1] != beat
        is_last = place + 1 == len(flat) or beats[place + 1] != beat
        bracket = ("start",) * is_first + ("stop",) * is_last
        marked.append(value._replace(bracket=bracket) if value.is_triplet else value)
    turn = iter(marked)
    return [[next(turn) for _ in values] for values in written]
