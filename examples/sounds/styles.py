"""Four styles and a piano: who plays what in a song. A band plays its style in its own way, from its own seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from examples.sounds import composer
from examples.sounds.composer import Note
from examples.sounds.instruments import RATE_HZ, Instrument, bow, buzz, hat, kick, pipe, pluck, snare, strike

Part = tuple[Instrument, Sequence[Note]]
EIGHTHS = tuple(place / 2 for place in range(8))


@dataclass(frozen=True)
class Manner:
    """How a band plays: faster or slower, brighter or duller, drier or wetter."""

    tempo: float  # from 0 to 1 within what its style allows
    brightness: float
    echo: float


def folk(manner: Manner, chance: np.random.Generator, seconds: float) -> list[Part]:
    """Plucked strings: an arpeggio, a melody, a bass."""
    song = composer.write(chance, bpm=88 + 36 * manner.tempo, seconds=seconds, is_minor=False)
    string = partial(pluck, damping=0.990 + 0.007 * manner.brightness)
    tune = composer.melody(song, chance, low=64, beats=(0.5, 1.0, 1.0))
    return [
        (string, composer.arpeggio(song, low=48, beat=0.5)),
        (string, tune),
        (string, composer.pulse(song, low=36, beat=2.0)),
    ]


def chamber(manner: Manner, chance: np.random.Generator, seconds: float) -> list[Part]:
    """Bowed strings: slow chords under a melody."""
    song = composer.write(chance, bpm=56 + 26 * manner.tempo, seconds=seconds, is_minor=chance.random() < 0.6)
    string = partial(bow, brightness=0.80 + 0.15 * manner.brightness)
    tune = composer.melody(song, chance, low=67, beats=(1.0, 2.0))
    return [
        (string, composer.chords(song, low=48, loudness=0.45)),
        (string, tune),
        (string, composer.pulse(song, low=36, beat=4.0, loudness=0.6)),
    ]


def dance(manner: Manner, chance: np.random.Generator, seconds: float) -> list[Part]:
    """Drums and an electronic bass, with a lead above."""
    song = composer.write(chance, bpm=120 + 18 * manner.tempo, seconds=seconds, is_minor=True)
    synth = partial(buzz, brightness=0.86 + 0.1 * manner.brightness)
    tune = composer.melody(song, chance, low=60, beats=(0.5, 0.5, 1.0))
    return [
        (kick, composer.beats(song, at=(0, 1, 2, 3), loudness=0.95)),
        (snare, composer.beats(song, at=(1, 3), loudness=0.7)),
        (hat, composer.beats(song, at=EIGHTHS)),
        (synth, composer.pulse(song, low=33, beat=0.5, loudness=0.7)),
        (synth, [Note(note.onset_s, note.length_s, note.pitch, 0.35) for note in tune]),
    ]


def hymn(manner: Manner, chance: np.random.Generator, seconds: float) -> list[Part]:
    """An organ: full chords that change together."""
    song = composer.write(chance, bpm=66 + 24 * manner.tempo, seconds=seconds, is_minor=chance.random() < 0.3)
    tune = composer.melody(song, chance, low=67, beats=(1.0, 1.0, 2.0))
    return [
        (pipe, composer.chords(song, low=55, loudness=0.35)),
        (pipe, composer.pulse(song, low=36, beat=4.0, loudness=0.4)),
        (pipe, tune),
    ]


def piano(manner: Manner, chance: np.random.Generator, seconds: float) -> list[Part]:
    """A melody and broken chords, whose notes are what a transcription should find."""
    song = composer.write(chance, bpm=84 + 20 * manner.tempo, seconds=seconds, is_minor=False)
    tune = composer.melody(song, chance, low=67, beats=(0.5, 1.0, 1.0))
    return [(strike, composer.arpeggio(song, low=48, beat=1.0, ring=1.0)), (strike, tune)]


Style = Callable[[Manner, np.random.Generator, float], list[Part]]
STYLES: dict[str, Style] = {"folk": folk, "chamber": chamber, "dance": dance, "hymn": hymn}


def perform(parts: Sequence[Part], manner: Manner, chance: np.random.Generator) -> np.ndarray:
    """Play the parts together: stereo float32 (samples, 2) at 44.1 kHz, its highest value at 0.7."""
    end_s = max(note.onset_s + note.length_s for _, notes in parts for note in notes) + 0.5
    mix = np.zeros((round(end_s * RATE_HZ), 2), np.float32)
    for instrument, notes in parts:
        left = chance.uniform(0.35, 0.65)
        for note in notes:
            sound = instrument(note.pitch, note.length_s, chance) * note.loudness
            at = round(note.onset_s * RATE_HZ)
            room = mix[at : at + len(sound)]
            room += sound[: len(room), None] * np.array([left, 1 - left], np.float32)
    return _in_a_room(mix, manner.echo)


def _in_a_room(mix: np.ndarray, echo: float) -> np.ndarray:
    """A few echoes from either side, and the same level for all."""
    dry = mix.copy()
    for delay_s, gain in ((0.029, 0.5), (0.053, 0.4), (0.089, 0.3), (0.131, 0.2)):
        shift = round(delay_s * RATE_HZ)
        mix[shift:] += echo * gain * dry[:-shift, ::-1]
    return mix * (0.7 / np.abs(mix).max())
