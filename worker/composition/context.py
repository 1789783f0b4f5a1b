"""What is known of a step before it is chosen: where in the bar it is, and what is told of its piece: key and end."""

import numpy as np

# Quarters of a bar that are told apart, from its beginning and from its end.
BEATS = 8
KEYS = 24
# How far the end is, in quarters, from these on.
ENDS = (0, 1, 2, 3, 4, 8, 12, 16)


def size(resolution: int) -> int:
    """How many numbers that is, where a quarter has so many frames."""
    return resolution + 2 * BEATS + KEYS + len(ENDS)


def describe(
    position: np.ndarray, bar: np.ndarray, resolution: int, *, key: int | None, left: np.ndarray | None
) -> np.ndarray:
    """Ones and zeros (steps, size): `position` of how many frames of its `bar` each step is at.

    `key` is one of tonality.KEYS, `left` how many frames there are to the end; None where it is not told.
    """
    at = np.arange(len(position))
    context = np.zeros((len(position), size(resolution)), np.float32)
    context[at, position % resolution] = 1
    first = resolution
    context[at, first + np.minimum(position // resolution, BEATS - 1)] = 1
    to_go = np.maximum(bar - position - 1, 0) // resolution
    context[at, first + BEATS + np.minimum(to_go, BEATS - 1)] = 1
    first += 2 * BEATS
    if key is not None:
        context[:, first + key] = 1
    if left is not None:
        quarters = np.maximum(left - 1, 0) // resolution
        context[at, first + KEYS + np.searchsorted(ENDS, quarters, side="right") - 1] = 1
    return context


def moved(key: int, semitones: int) -> int:
    """A key that many semitones higher: 0 to 11 are C major to B major, 12 to 23 the minor ones."""
    return (key % 12 + semitones) % 12 + 12 * (key // 12)
