"""The names of notes in a key, and the key of a piece that tells none.

Names lie on the line of fifths, … B♭ F C G D …, where C is 0, a sharp is seven to the right and a key signature is the
seven names from one left of its major tonic on (Temperley, "The Cognition of Basic Musical Structures", 2001, ch. 5).
"""

from functools import cache
from typing import NamedTuple

from worker.symbolic import tonality
from worker.symbolic.piece import Key, Mode, Piece

LETTERS = "FCGDAEB"
# From the signature's C, the leftmost of twelve names: in C major E♭ to G♯, in A minor B♭ to D♯, so that the leading
# note of minor and that of its dominant are sharp.
LEFTMOST: dict[Mode, int] = {"major": -3, "minor": -2}
# Where a tonic is from the C of its signature.
TONIC_FIFTHS: dict[Mode, int] = {"major": 0, "minor": 3}
# Keys with more sharps or flats are written as their other name: D♭, not C♯.
MOST_FLATS = 5
USUAL = Key(0, 0, "major")


class Name(NamedTuple):
    """A letter, semitones of alteration, and the octave in which C4 is the middle one."""

    step: str
    alter: int
    octave: int


@cache
def spell(pitch: int, key: Key) -> Name:
    """The name that a pitch has in a key, diatonic if there is one; octaves below 0 have none, so they become 0."""
    leftmost = key.sharps + LEFTMOST[key.mode]
    fifths = leftmost + (pitch * 7 - leftmost) % 12
    alter = (fifths + 1) // 7
    return Name(LETTERS[(fifths + 1) % 7], alter, max((pitch - alter) // 12 - 1, 0))


def find_key(piece: Piece) -> Key:
    """The signature of the key that fits best, C major where none does."""
    found = tonality.estimate(piece)
    if found is None:
        return USUAL
    fifths = tonality.TONICS.index(found.tonic) * 7 - TONIC_FIFTHS[found.mode]
    return Key(0, (fifths + MOST_FLATS) % 12 - MOST_FLATS, found.mode)
