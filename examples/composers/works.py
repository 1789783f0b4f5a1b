"""Which pieces belong together: what goes by one name, and what shares a long stretch of its melody.

A tune has other titles in other collections, and Bach set one chorale many times; only the notes tell.
"""

from collections.abc import Sequence

import numpy as np

from examples.composers.scores import Score

# Sixteen successive steps, some seventeen notes, are two phrases of a chorale or four bars of a reel: measured on these
# scores, twelve chain a third of the fiddle tunes together by their common turns, sixteen join the same tunes only.
STEPS = 16
# A run of one step, up and down a scale, is common property.
DIFFERENT_STEPS = 4


def marks(score: Score) -> frozenset[str]:
    """What a piece may share with another of its work: its name, and every stretch of its first voice's steps."""
    steps = np.diff(score.voices[0][:, 2]).astype(int).tolist()
    stretches = [tuple(steps[start : start + STEPS]) for start in range(len(steps) - STEPS + 1)]
    told = (stretch for stretch in stretches if len(set(stretch)) >= DIFFERENT_STEPS)
    # A tune goes from collection to collection; that a chorale meets one, or a quartet's run another's, is chance.
    family = "tune" if score.work.startswith("tune ") else score.composer
    return frozenset({score.work, *(f"{family} {stretch}" for stretch in told if family != "Viennese quartets")})


def join(names: Sequence[str], marked: Sequence[frozenset[str]]) -> list[str]:
    """The work of each piece: the first name, in sorted order, among all that it is linked to, however indirectly."""
    leader = list(range(len(names)))

    def lead(piece: int) -> int:
        while leader[piece] != piece:
            piece = leader[piece]
        return piece

    first: dict[str, int] = {}
    for piece, shared in enumerate(marked):
        for mark in shared:
            one, other = lead(piece), lead(first.setdefault(mark, piece))
            if names[one] <= names[other]:
                leader[other] = one
            else:
                leader[one] = other
    return [names[lead(piece)] for piece in range(len(names))]
