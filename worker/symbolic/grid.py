"""Voices on a grid of time: which pitch each sounds in each frame, and whether it is struck there or held."""

from dataclasses import dataclass

import numpy as np

REST = -1


@dataclass(frozen=True)
class Grid:
    """`pitches` (frames, voices) int16, REST for silence; `attacks` (frames, voices): struck in this frame, not held.

    `position` is how many frames into its bar each frame is, `bar` how many frames that bar has when it is whole;
    `resolution` the frames of a quarter.
    """

    pitches: np.ndarray
    attacks: np.ndarray
    position: np.ndarray
    bar: np.ndarray
    resolution: int

    def __len__(self) -> int:
        return len(self.pitches)

    @property
    def voices(self) -> int:
        return int(self.pitches.shape[1])
