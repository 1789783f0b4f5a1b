"""A grid of voices as steps of a sequence: a step a frame, a field a voice.

The tokens of a field are: hold what is there (a pitch or silence), fall silent, strike a pitch. A voice that falls
silent twice, or holds in the first frame, is never written; so each grid is one sequence and no other.
"""

from typing import Literal

import numpy as np

from shared.schema import Closed
from worker.composition import context
from worker.sequences.streams import Steps
from worker.symbolic.grid import REST, Grid

HOLD, SILENCE, STRIKE = 0, 1, 2
SILENT = 0


class VoiceCoding(Closed):
    """How grids become steps; stored with the model. Pitches from `low` to `high` are known."""

    form: Literal["voices"] = "voices"
    voices: int
    resolution: int
    low: int
    high: int

    @property
    def tokens(self) -> tuple[int, ...]:
        """How many tokens each field has."""
        return (STRIKE + self.high - self.low + 1,) * self.voices

    @property
    def codes(self) -> tuple[int, ...]:
        """Silence, and each pitch held or struck."""
        return (1 + 2 * (self.high - self.low + 1),) * self.voices

    @property
    def context(self) -> int:
        return context.size(self.resolution)

    def fits(self, grid: Grid, *, shift: int = 0) -> bool:
        """Whether all pitches are known, moved by so many semitones."""
        sounding = grid.pitches[grid.pitches != REST] + shift
        return not len(sounding) or bool(self.low <= sounding.min() and sounding.max() <= self.high)

    def steps(self, grid: Grid, *, shift: int = 0, key: int | None = None, is_ending: bool = False) -> Steps:
        """A grid moved by `shift` semitones; `key` (of the grid as it is) and its end are told where they are given."""
        pitches = np.where(grid.pitches == REST, REST, grid.pitches + shift)
        attacks = _attacks(pitches, grid.attacks)
        told = None if key is None else context.moved(key, shift)
        known = self.describe(grid.position, grid.bar, key=told, ends_in=len(grid) if is_ending else None)
        return Steps(self._tokens(pitches, attacks), self.codes_of(pitches, attacks), known)

    def _tokens(self, pitches: np.ndarray, attacks: np.ndarray) -> np.ndarray:
        silent = pitches == REST
        before = np.concatenate([np.zeros((1, self.voices), bool), silent[:-1]])
        tokens = np.where(attacks, STRIKE + pitches - self.low, HOLD)
        return np.where(silent & ~before, SILENCE, tokens).astype(np.int32)

    def codes_of(self, pitches: np.ndarray, attacks: np.ndarray) -> np.ndarray:
        """What is known of voices that sound such pitches: (…, voices) int32."""
        return np.where(pitches == REST, SILENT, 1 + 2 * (pitches - self.low) + attacks).astype(np.int32)

    def pitches_of(self, codes: np.ndarray) -> np.ndarray:
        """The pitch of each code, REST for silence and for what is before a piece."""
        return np.where((codes == SILENT) | (codes >= self.codes[0]), REST, self.low + (codes - 1) // 2).astype(
            np.int16
        )

    def struck(self, codes: np.ndarray) -> np.ndarray:
        """Whether each code is of a pitch that begins here."""
        return (codes != SILENT) & (codes < self.codes[0]) & ((codes - 1) % 2 == 1)

    def describe(
        self, position: np.ndarray, bar: np.ndarray, *, key: int | None = None, ends_in: int | None = None
    ) -> np.ndarray:
        """What is known of frames beforehand, (frames, context): where in the bar, and what is told of the piece.

        `ends_in`: the piece ends so many frames after the first of these begins.
        """
        left = None if ends_in is None else ends_in - np.arange(len(position))
        return context.describe(position, bar, self.resolution, key=key, left=left)

    def grid(self, codes: np.ndarray, position: np.ndarray, bar: np.ndarray) -> Grid:
        """Codes (frames, voices) as a grid."""
        return Grid(self.pitches_of(codes), self.struck(codes), position, bar, self.resolution)


def _attacks(pitches: np.ndarray, attacks: np.ndarray) -> np.ndarray:
    """With what must be struck for it was not there before."""
    before = np.concatenate([np.full((1, pitches.shape[1]), REST), pitches[:-1]])
    return (pitches != REST) & (attacks | (pitches != before))
