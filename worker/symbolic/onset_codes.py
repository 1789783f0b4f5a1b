"""Pieces as sequences of codes that are the same wherever the music is the same up to transposition.

A code stands for two successive onsets: what sounds at each, the step between them and the time between. So a passage
of n codes that two pieces share is one of n + 1 onsets, note for note in pitch and rhythm.
"""

from dataclasses import dataclass

import numpy as np

from worker.symbolic.grid import REST, Grid
from worker.symbolic.piece import TICKS, Bars, Piece

# Beyond every difference of two pitches.
SILENT = 999
# Of a quarter: what is played or rounded a little late is no other rhythm.
FINEST = 24
TICKS_A_STEP = TICKS // FINEST

# The finaliser of SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014).
GOLDEN, FIRST, SECOND = (np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
SHIFTS = tuple(np.uint64(each) for each in (30, 27, 31))


@dataclass(frozen=True)
class Events:
    """The onsets of a piece, (onsets,): a pitch that tells how it is transposed, times in quarters, notes begun there.

    `bars` counts from 1, a pickup is bar 0; `codes` uint64, even, one less than onsets.
    """

    codes: np.ndarray
    pitches: np.ndarray
    onsets: np.ndarray
    ends: np.ndarray
    notes: np.ndarray
    bars: np.ndarray
    bar_quarters: np.ndarray


def of(piece: Grid | Piece) -> tuple[Events, Events]:
    """All voices together, and the melody alone: the first voice of a grid, the highest note of each onset of notes."""
    if isinstance(piece, Grid):
        return _of_voices(piece, slice(None)), _of_voices(piece, slice(0, 1))
    return _of_notes(piece)


def _of_voices(grid: Grid, voices: slice) -> Events:
    pitches, attacks = grid.pitches[:, voices].astype(np.int64), grid.attacks[:, voices].astype(bool)
    attacks = attacks & (pitches != REST)
    frames = np.flatnonzero(attacks.any(axis=1))
    sounding, struck = pitches[frames], attacks[frames]
    # The first voice that sounds; the others are told by their distance from it.
    first = sounding[np.arange(len(frames)), (sounding != REST).argmax(axis=1)]
    apart = np.where(sounding == REST, SILENT, sounding - first[:, None])
    content = np.concatenate([apart, struck], axis=1)
    ends = np.append(frames, len(grid))[1:]
    times = np.diff(frames)[:, None] * FINEST // grid.resolution
    codes = mix(np.concatenate([content[:-1], content[1:], np.diff(first)[:, None], times], axis=1))
    bars = np.cumsum(grid.position == 0)
    return Events(
        codes=codes,
        pitches=first,
        onsets=frames / grid.resolution,
        ends=ends / grid.resolution,
        notes=struck.sum(axis=1),
        bars=bars[frames],
        bar_quarters=grid.bar[frames] / grid.resolution,
    )


def _of_notes(piece: Piece) -> tuple[Events, Events]:
    is_drum = np.array([voice.is_drum for voice in piece.voices], bool)
    notes = piece.notes[~is_drum[piece.notes["voice"]]] if len(piece.notes) else piece.notes
    notes = notes[np.lexsort((notes["duration"], notes["pitch"], notes["onset"]))]
    is_top = np.append(notes["onset"][1:] != notes["onset"][:-1], True)[: len(notes)]
    bars = Bars(piece)
    return _of_sequence(notes, bars), _of_sequence(notes[is_top], bars)


def _of_sequence(notes: np.ndarray, bars: Bars) -> Events:
    """Each note counts as an onset: those of a chord are no time apart."""
    pitches = notes["pitch"].astype(np.int64)
    steps = (notes["onset"] + TICKS_A_STEP // 2) // TICKS_A_STEP
    lengths = (notes["duration"] + TICKS_A_STEP // 2) // TICKS_A_STEP
    places = bars.at(notes["onset"])[0]
    return Events(
        codes=mix(np.stack([np.diff(pitches), np.diff(steps), lengths[:-1], lengths[1:]], axis=1)),
        pitches=pitches,
        onsets=notes["onset"] / TICKS,
        ends=(notes["onset"] + notes["duration"]) / TICKS,
        notes=np.ones(len(notes), np.int64),
        bars=places + int(not bars.piece.pickup),
        bar_quarters=bars.lengths[places] / TICKS,
    )


def mix(rows: np.ndarray) -> np.ndarray:
    """An even uint64 for each row (rows, columns) of whole numbers; equal for equal rows, else by chance of 2^-63."""
    mixed = np.zeros(len(rows), np.uint64)
    for column in rows.T.astype(np.int64).view(np.uint64):
        mixed = (mixed ^ column) + GOLDEN
        mixed = (mixed ^ (mixed >> SHIFTS[0])) * FIRST
        mixed = (mixed ^ (mixed >> SHIFTS[1])) * SECOND
        mixed = mixed ^ (mixed >> SHIFTS[2])
    return mixed << np.uint64(1)
