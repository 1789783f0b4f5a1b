"""The key of a piece: of 24, the one whose profile the durations of the pitch classes are most like.

Krumhansl & Kessler ("Tracing the dynamic changes in perceived tonal organization", 1982) asked listeners how well each
pitch class fits a key; Krumhansl (1990) compares durations with the answers.
"""

from typing import NamedTuple

import numpy as np

from worker.symbolic.piece import Mode, Piece

TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
PROFILES: dict[Mode, list[float]] = {
    "major": [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
    "minor": [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
}
KEYS: list[tuple[Mode, int]] = [(mode, tonic) for mode in PROFILES for tonic in range(12)]
EXPECTED = np.array([np.roll(PROFILES[mode], tonic) for mode, tonic in KEYS])
EXPECTED = (EXPECTED - EXPECTED.mean(axis=1, keepdims=True)) / EXPECTED.std(axis=1, keepdims=True) / 12


class Tonality(NamedTuple):
    """A key, and its correlation with the piece: 1 is the profile itself."""

    tonic: str
    mode: Mode
    confidence: float


def estimate(piece: Piece) -> Tonality | None:
    """The key that fits best; None where there are no pitches, or all alike."""
    is_drum = np.array([voice.is_drum for voice in piece.voices], bool)
    notes = piece.notes[~is_drum[piece.notes["voice"]]] if len(piece.notes) else piece.notes
    weights = np.bincount(notes["pitch"].astype(np.int64) % 12, notes["duration"].astype(float), minlength=12)
    if weights.std() == 0:
        return None
    fits = EXPECTED @ ((weights - weights.mean()) / weights.std())
    best = int(np.argmax(fits))
    mode, tonic = KEYS[best]
    return Tonality(TONICS[tonic], mode, round(float(fits[best]), 4))


def written(sharps: int, mode: Mode) -> str:
    """The tonic of a signature."""
    return TONICS[(7 * sharps + (9 if mode == "minor" else 0)) % 12]
