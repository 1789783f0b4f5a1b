"""Pieces and grids made up for tests."""

from collections.abc import Sequence

import numpy as np

from worker.symbolic.grid import REST, Grid
from worker.symbolic.piece import NOTE, TICKS, Key, Meter, Piece, Tempo, Voice

CHOIR = tuple(Voice(name, 19) for name in ("Soprano", "Alto", "Tenor", "Bass"))
Told = tuple[float, float, int, int]  # onset and duration in quarters, pitch, voice


def piece(told: Sequence[Told], voices: Sequence[Voice] = CHOIR, **others: object) -> Piece:
    rows = [(round(onset * TICKS), round(length * TICKS), pitch, 80, voice) for onset, length, pitch, voice in told]
    made = Piece("Made", np.array(rows, NOTE), tuple(voices), **others)  # type: ignore[arg-type]
    return made.sorted()


def melody(pitches: Sequence[int], length: float = 1.0, **others: object) -> Piece:
    """Notes of one length, one after another, in one voice."""
    told = [(at * length, length, pitch, 0) for at, pitch in enumerate(pitches)]
    return piece(told, [Voice("Melody")], **others)


def song(seed: int = 0, *, beats: int = 24, parts: Sequence[float] = (1, 0.5, 0.25, 0.125), **others: object) -> Piece:
    """Four voices, each beat of each divided evenly by one of `parts`, with rests."""
    random = np.random.default_rng(seed)
    told: list[Told] = []
    for voice in range(4):
        for beat in range(beats):
            part = random.choice(parts)
            told += [
                (beat + step * part, part, int(76 - 8 * voice + random.integers(-6, 7)), voice)
                for step in range(round(1 / part))
                if random.random() < 0.8
            ]
    return piece(told, CHOIR, **others)


def changing() -> Piece:
    """Meters, keys and tempi that change, a pickup, and drums."""
    voices = (Voice("Flöte", 73), Voice("Drums", 0, is_drum=True))
    told = [(at * 0.5, 0.5, 60 + at % 12, 0) for at in range(40)] + [(at, 0.25, 36 + at % 3 * 2, 1) for at in range(20)]
    return piece(
        told,
        voices,
        tempi=(Tempo(0, 96.0), Tempo(9 * TICKS, 60.5)),
        meters=(Meter(0, 3, 4), Meter(7 * TICKS, 6, 8), Meter(13 * TICKS, 4, 4)),
        keys=(Key(0, 2, "major"), Key(7 * TICKS, -3, "minor")),
        pickup=TICKS,
    )


def grid(pitches: Sequence[Sequence[int]] | np.ndarray, *, resolution: int = 4, bar: int = 16, pickup: int = 0) -> Grid:
    """Of pitches (frames, voices); struck where they change."""
    made = np.array(pitches, np.int16)
    attacks = made != REST
    attacks[1:] &= made[1:] != made[:-1]
    position = (np.arange(len(made)) - pickup) % bar
    return Grid(made, attacks, position, np.full(len(made), bar), resolution)


def wandering(seed: int, frames: int = 64, voices: int = 4) -> Grid:
    """Voices that step about, each moving in a third of the frames."""
    random = np.random.default_rng(seed)
    moves = random.integers(-4, 5, (frames, voices)) * (random.random((frames, voices)) < 1 / 3)
    return grid(np.array([72, 65, 58, 50])[:voices] + np.cumsum(moves, axis=0) % 9)
