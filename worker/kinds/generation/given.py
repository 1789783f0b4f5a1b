"""A score that is given, on the grid of a model: what fits, what does not and in which bar."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.errors import Fault, JobFailed
from worker.composition.voice_coding import VoiceCoding
from worker.symbolic import gridding
from worker.symbolic.grid import REST, Grid
from worker.symbolic.piece import TICKS, Bars, Meter, Piece, Voice

Ranges = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Given:
    """A score on the model's grid, with silence up to the end of its last bar; `length` frames sound.

    `voices` are the score's own at each place of the grid, None where it has none; `moved` of its notes begin between
    the frames.
    """

    piece: Piece
    grid: Grid
    length: int
    voices: tuple[Voice | None, ...]
    moved: int

    def bars_until(self, frame: int) -> int:
        """How many whole bars there are before a frame, a pickup not counted."""
        return int(np.count_nonzero(self.grid.position[:frame] == 0)) if frame else 0


def lay(coding: VoiceCoding, ranges: Ranges, piece: Piece, kept: Sequence[int]) -> Given:
    """A score of as many voices as the model, or fewer that are meant for its `kept` ones.

    Raises JobFailed for what the model cannot take, with the bar of what lies outside the ranges of kept voices.
    """
    _refuse_meters(coding, piece)
    if not any(not piece.voices[voice].is_drum for voice in np.unique(piece.notes["voice"])):
        raise JobFailed("The score has no notes, or drums alone.", code="score_empty")
    count = gridding.count_voices(piece)
    places = list(kept) if count == len(kept) < coding.voices else list(range(coding.voices))
    grid = gridding.to_grid(piece, voices=len(places), resolution=coding.resolution)
    if grid is None:
        raise too_many(count, coding.voices)
    own = gridding.places_of(piece, voices=len(places))
    for at, voice in enumerate(places):
        if voice in kept:
            _refuse_outside(grid, piece, at, voice, ranges[voice])
    voices = [piece.voices[own[places.index(voice)]] if voice in places and places.index(voice) in own else None
              for voice in range(coding.voices)]  # fmt: skip
    spread = _spread_out(grid, places, coding.voices)
    moved = int(np.count_nonzero(piece.notes["onset"] * coding.resolution % TICKS))
    return Given(piece, gridding.padded(spread), len(grid), tuple(voices), moved)


def too_many(count: int | None, voices: int) -> JobFailed:
    """That a score has more voices than a model, or chords."""
    has = "chords" if count is None else f"{count} voices"
    said = f"The score has {has}, and the model writes {voices} voices of one note at a time."
    return JobFailed(said, code="too_many_voices")


def bar_number(piece: Piece, tick: int) -> int:
    """The bar of a tick as musicians count: the first whole one is 1, a pickup 0."""
    return int(Bars(piece).at(np.array([tick]))[0][0]) + (0 if piece.pickup else 1)


def frames_of(meter: Meter, resolution: int) -> int:
    """The frames of a bar. Raises JobFailed when it is no whole number of them."""
    frames, rest = divmod(meter.bar_ticks * resolution, TICKS)
    if rest or not frames:
        said = (
            f"A bar of {meter.beats}/{meter.unit} is no whole number of frames: the model has {resolution} a quarter."
        )
        raise JobFailed(f"{said} Choose another meter, or train with a finer resolution.", code="meter_off_grid")
    return int(frames)


def _refuse_meters(coding: VoiceCoding, piece: Piece) -> None:
    for meter in piece.meters:
        frames_of(meter, coding.resolution)


def _refuse_outside(grid: Grid, piece: Piece, place: int, voice: int, range_: tuple[int, int]) -> None:
    low, high = range_
    pitches = grid.pitches[:, place].astype(np.int64)
    outside = np.nonzero((pitches != REST) & ((pitches < low) | (pitches > high)))[0]
    if not len(outside):
        return
    frame = int(outside[0])
    bar, has = bar_number(piece, -(-frame * TICKS // grid.resolution)), int(pitches[frame])
    said = f"Voice {voice} is to stay within {low} to {high} and has {has} in bar {bar}"
    fault = Fault(f"expected {low} to {high}, received {has}", row=bar)
    raise JobFailed(f"{said}: transpose the score, or give it as another voice.", code="pitch_outside", faults=[fault])


def _spread_out(grid: Grid, places: Sequence[int], voices: int) -> Grid:
    """The same at other places of a grid of more voices, which are silent."""
    pitches = np.full((len(grid), voices), REST, np.int16)
    attacks = np.zeros((len(grid), voices), bool)
    pitches[:, places], attacks[:, places] = grid.pitches, grid.attacks
    return Grid(pitches, attacks, grid.position, grid.bar, grid.resolution)
