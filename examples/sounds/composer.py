"""A tiny composer: chords that go round in a key, and above them a melody that walks along its scale."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
# Degrees of the scale, a chord a bar.
PROGRESSIONS = {
    MAJOR: ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 0), (0, 3, 0, 4)),
    MINOR: ((0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 4), (0, 2, 3, 4)),
}
STEPS = (-2, -1, -1, 0, 1, 1, 2)


@dataclass(frozen=True)
class Note:
    """One note: when in seconds, how long, which MIDI pitch, how loud from 0 to 1."""

    onset_s: float
    length_s: float
    pitch: int
    loudness: float = 0.8


@dataclass(frozen=True)
class Song:
    """What the parts of a piece have in common."""

    key: int  # the tonic's pitch class
    scale: tuple[int, ...]
    beat_s: float
    chords: tuple[int, ...]  # degrees, a bar of four beats each
    bars: int

    @property
    def bar_s(self) -> float:
        return 4 * self.beat_s

    def pitch(self, degree: int, low: int) -> int:
        """A degree of the scale as the first pitch from `low` on of that name, and what is above it."""
        octave, place = divmod(degree, len(self.scale))
        lowest = low + (self.key - low) % 12
        return lowest + self.scale[place] + 12 * octave

    def each_bar(self) -> Iterator[tuple[float, int]]:
        """When it begins, and its chord's degree."""
        for bar in range(self.bars):
            yield bar * self.bar_s, self.chords[bar % len(self.chords)]


def write(chance: np.random.Generator, *, bpm: float, seconds: float, is_minor: bool) -> Song:
    """A song of whole bars that is about so long."""
    scale = MINOR if is_minor else MAJOR
    chords = PROGRESSIONS[scale][chance.integers(4)]
    return Song(int(chance.integers(12)), scale, 60 / bpm, chords, max(1, round(seconds * bpm / 240)))


def melody(song: Song, chance: np.random.Generator, *, low: int, beats: tuple[float, ...]) -> list[Note]:
    """A walk along the scale in these lengths, which begins every bar on a note of its chord."""
    notes: list[Note] = []
    degree = int(chance.choice([0, 2, 4]))
    for start, chord in song.each_bar():
        degree = _nearest(degree, chord)
        onset = 0.0
        while onset < 3.99:
            length = min(float(chance.choice(beats)), 4 - onset)
            notes.append(Note(start + onset * song.beat_s, length * song.beat_s, song.pitch(degree, low), 0.9))
            degree = int(np.clip(degree + chance.choice(STEPS), -1, 8))
            onset += length
    return notes


def _nearest(degree: int, chord: int) -> int:
    members = [chord + step + shift for step in (0, 2, 4) for shift in (-7, 0, 7)]
    return min((each for each in members if -1 <= each <= 8), key=lambda each: abs(each - degree))


def chords(song: Song, *, low: int, loudness: float = 0.5) -> list[Note]:
    """Three notes that stay for the bar."""
    return [
        Note(start, song.bar_s, song.pitch((chord + step) % 7, low), loudness)
        for start, chord in song.each_bar()
        for step in (0, 2, 4)
    ]


def arpeggio(song: Song, *, low: int, beat: float, ring: float = 2.0, loudness: float = 0.6) -> list[Note]:
    """The chord's notes one after another; each rings on for `ring` of its own lengths."""
    order = (0, 2, 4, 7, 4, 2)
    return [
        Note(start + place * beat * song.beat_s, ring * beat * song.beat_s, song.pitch(chord + step, low), loudness)
        for start, chord in song.each_bar()
        for place, step in enumerate((order * 4)[: round(4 / beat)])
    ]


def pulse(song: Song, *, low: int, beat: float, loudness: float = 0.8) -> list[Note]:
    """The chord's root again and again."""
    return [
        Note(start + place * beat * song.beat_s, beat * song.beat_s, song.pitch(chord, low), loudness)
        for start, chord in song.each_bar()
        for place in range(round(4 / beat))
    ]


def beats(song: Song, *, at: tuple[float, ...], loudness: float = 0.8) -> list[Note]:
    """A drum at these beats of every bar."""
    return [Note(start + beat * song.beat_s, 0.1, 60, loudness) for start, _ in song.each_bar() for beat in at]
