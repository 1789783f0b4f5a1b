"""The notes of a voice as they are written: chords in up to four lines, cut into bars and into values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from worker.symbolic import note_values
from worker.symbolic.note_values import Span, Value
from worker.symbolic.piece import TICKS, Bars

# What programs offer on a staff. More that sound at once are cut short where the next one needs the place.
MOST_LINES = 4


class Chord(NamedTuple):
    """Pitches that begin and end together; a line's rests are not told."""

    start: int
    end: int
    pitches: tuple[int, ...]


class Written(NamedTuple):
    """A value with its pitches, none for a rest, and whether it is tied to what stands before and after."""

    value: Value
    pitches: tuple[int, ...]
    is_tied_back: bool = False
    is_tied_on: bool = False


@dataclass(frozen=True)
class Measures:
    """Bars in ticks; `origins` are where they would begin were they whole, which differs for a pickup."""

    starts: np.ndarray
    ends: np.ndarray
    origins: np.ndarray

    @classmethod
    def of(cls, bars: Bars) -> "Measures":
        ends = bars.starts + bars.lengths
        origins = bars.starts.copy()
        if bars.piece.pickup:
            whole = bars.lengths[1] if len(bars) > 1 else bars.lengths[0]
            origins[0] = min(ends[0] - whole, 0)
        return cls(bars.starts, ends, origins)

    def at(self, ticks: np.ndarray) -> np.ndarray:
        """The bar of each tick."""
        return np.clip(np.searchsorted(self.starts, ticks, side="right") - 1, 0, len(self.starts) - 1)


def lines(notes: np.ndarray, measures: Measures) -> list[list[Chord]]:
    """The chords of one voice on the grid, in as many lines as overlap; in each one they follow one another."""
    found: list[list[Chord]] = []
    for chord in _chords(notes, measures):
        line = next((line for line in found if line[-1].end <= chord.start), None)
        if line is not None:
            line.append(chord)
        elif len(found) < MOST_LINES:
            found.append([chord])
        else:
            _squeeze(min(found, key=lambda line: (line[-1].start == chord.start, line[-1].end)), chord)
    return found


def _chords(notes: np.ndarray, measures: Measures) -> list[Chord]:
    onsets, ends = notes["onset"], notes["onset"] + notes["duration"]
    times = np.concatenate([onsets, ends])
    bars = measures.at(times)
    snapped, steps = note_values.snap(times, measures.origins[bars])
    snapped = np.clip(snapped, measures.starts[bars], measures.ends[bars])
    starts, ends, steps = snapped[: len(notes)], snapped[len(notes) :], steps[: len(notes)]
    # However short, it is written: within its beat, for the next one may have another grid.
    is_next_beat = (starts > onsets) & ((starts - measures.origins[bars[: len(notes)]]) % TICKS == 0)
    is_lost = ends <= starts
    starts = np.where(is_lost & is_next_beat, starts - steps, starts)
    ends = np.where(is_lost, starts + steps, ends)
    together: dict[tuple[int, int], set[int]] = {}
    for start, end, pitch in zip(starts.tolist(), ends.tolist(), notes["pitch"].tolist(), strict=True):
        together.setdefault((start, end), set()).add(pitch)
    chords = [Chord(start, end, tuple(sorted(pitches))) for (start, end), pitches in together.items()]
    return sorted(chords, key=lambda chord: (chord.start, -chord.pitches[-1], chord.end))


def _squeeze(line: list[Chord], chord: Chord) -> None:
    """Where all lines are taken: what sounds there ends early, or takes the new pitches in if it begins with them."""
    last = line.pop()
    if last.start == chord.start:
        line.append(last._replace(pitches=tuple(sorted({*last.pitches, *chord.pitches}))))
        return
    line += [last._replace(end=chord.start), chord]


def cut(line: Sequence[Chord], measures: Measures) -> dict[int, list[Written]]:
    """The values of each bar in which the line has a note; they fill it."""
    parts: dict[int, list[tuple[int, int, Chord]]] = {}
    for chord in line:
        first, last = measures.at(np.array([chord.start, chord.end - 1])).tolist()
        for bar in range(first, last + 1):
            start, end = max(chord.start, int(measures.starts[bar])), min(chord.end, int(measures.ends[bar]))
            parts.setdefault(bar, []).append((start, end, chord))
    return {bar: _fill(bar, inside, measures) for bar, inside in parts.items()}


def _fill(bar: int, parts: Sequence[tuple[int, int, Chord]], measures: Measures) -> list[Written]:
    origin, at = int(measures.origins[bar]), int(measures.starts[bar])
    spans: list[tuple[Span, Chord | None]] = []
    for start, end, chord in parts:
        if at < start:
            spans.append((Span(at - origin, start - origin, True), None))
        spans.append((Span(start - origin, end - origin, False), chord))
        at = end
    if at < measures.ends[bar]:
        spans.append((Span(at - origin, int(measures.ends[bar]) - origin, True), None))
    written = note_values.write([span for span, _ in spans])
    return [_tied(value, chord, origin) for values, (_, chord) in zip(written, spans, strict=True) for value in values]


def _tied(value: Value, chord: Chord | None, origin: int) -> Written:
    if chord is None:
        return Written(value, ())
    start = origin + value.start
    return Written(value, chord.pitches, start > chord.start, start + value.length < chord.end)
