"""Small chorales of our own making: four voices in block chords with passing notes, in many keys."""

import numpy as np

from worker.symbolic import midi_writer
from worker.symbolic.piece import NOTE, TICKS, Meter, Piece, Tempo, Voice

# Scale degrees above the tonic of soprano, alto, tenor and bass, chord by chord.
CHORDS = ((12, 7, 4, 0), (12, 9, 5, 5), (11, 7, 2, 7), (12, 7, 4, 0), (16, 7, 4, 0), (14, 11, 7, 7), (14, 9, 5, 2))
BASES = (60, 60, 48, 36)
NAMES = ("Soprano", "Alto", "Tenor", "Bass")


def chorale(seed: int, *, bars: int = 4, tonic: int | None = None, name: str = "") -> Piece:
    """Some bars of 4/4 that end on the tonic chord."""
    random = np.random.default_rng(seed)
    drawn = int(random.integers(0, 7))
    tonic = drawn if tonic is None else tonic
    chords = [0, *random.integers(0, len(CHORDS), 4 * bars - 2).tolist(), 0]
    rows = []
    for beat, chord in enumerate(chords):
        for voice, degree in enumerate(CHORDS[chord]):
            pitch = BASES[voice] + tonic + degree
            has_neighbour = voice == 0 and random.random() < 0.3
            length = TICKS // 2 if has_neighbour else TICKS
            rows.append((beat * TICKS, length, pitch, 80, voice))
            if has_neighbour:
                rows.append((beat * TICKS + length, length, pitch + 2, 80, voice))
    voices = tuple(Voice(each, 52) for each in NAMES)
    notes = np.array(rows, NOTE)
    return Piece(name, notes, voices, tempi=(Tempo(0, 90.0),), meters=(Meter(0, 4, 4),)).sorted()


def midi(seed: int, *, bars: int = 4, tonic: int | None = None) -> bytes:
    """The same as a file."""
    return midi_writer.write(chorale(seed, bars=bars, tonic=tonic))
