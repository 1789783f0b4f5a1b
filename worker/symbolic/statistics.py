"""Musical statistics of sets of pieces, to set what was generated beside what it was learned from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.symbolic import ratios, voice_leading
from worker.symbolic.grid import REST, Grid
from worker.symbolic.piece import TICKS, Piece
from worker.symbolic.ratios import Figures, Ratio, Shares

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
OCTAVE = 12
# Melodic intervals in semitones, down to up; one more place for what leaps beyond an octave.
INTERVALS = (*range(-OCTAVE, OCTAVE + 1), "beyond")
# In quarters, each the longest of its class; a triplet or dotted note counts in the class above it.
LENGTHS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
LENGTH_NAMES = (*LENGTHS, "longer")
# Rounding of 32nds and triplets to ticks of a file is no other length.
NEARLY = 1e-3
# Chords are counted in so many quarters: four bars of 4/4.
WINDOW_QUARTERS = 16
PERCENTILES = {"lowest": 0.0, "p5": 0.05, "p95": 0.95, "highest": 1.0}
PITCHES = 128

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class Melody:
    """The notes of one voice: `pitches` and `quarters`, how long each is, (notes,)."""

    pitches: np.ndarray
    quarters: np.ndarray


def of_grids(grids: Sequence[Grid]) -> Json:
    """Figures of voices on a grid, each {"value", "interval"} or {"labels", "value"}; {} of no pieces."""
    melodies = [_melodies(grid) for grid in grids]
    figures = [_of_grid(grid, own) for grid, own in zip(grids, melodies, strict=True)]
    if not figures:
        return {}
    voices = max(grid.voices for grid in grids)
    heard = [np.concatenate([own[at].pitches for own in melodies if at < len(own)]) for at in range(voices)]
    return {**ratios.gather(figures), "ranges": [_range(pitches) for pitches in heard]}


def of_pieces(pieces: Sequence[Piece]) -> Json:
    """Figures of notes as events, of any polyphony, in the same form; drums count in time and not in pitch."""
    if not pieces:
        return {}
    heard = np.concatenate([_pitched(piece)["pitch"] for piece in pieces])
    return {**ratios.gather([_of_piece(piece) for piece in pieces]), "ranges": [_range(heard)]}


def compare(generated: Json, training: Json, held_out: Json) -> Json:
    """Three answers of `of_grids` or of `of_pieces` side by side, by the name of the figure.

    A distribution has besides `distance`, how far the generated and the held-out pieces are from the training set
    (Jensen-Shannon, 0 to 1): what is held out says how far music of the same kind is.
    """
    return {name: _beside(name, generated, training, held_out) for name in training}


def _beside(name: str, generated: Json, training: Json, held_out: Json) -> Json:
    sets = {"generated": generated.get(name), "training": training[name], "held_out": held_out.get(name)}
    known = training[name]
    if not isinstance(known, dict) or known.get("labels") is None:
        return sets
    distances = {}
    for of in ("generated", "held_out"):
        one, other = (sets[of] or {}).get("value"), known["value"]
        distances[of] = round(ratios.distance(one, other), ratios.DIGITS) if one and other else None
    return {**sets, "distance": distances}


def _of_grid(grid: Grid, melodies: Sequence[Melody]) -> Figures:
    pitches = grid.pitches
    fifths, octaves, moved = voice_leading.parallels(pitches)
    crossed, two = voice_leading.crossings(pitches)
    harsh, strong = voice_leading.dissonances(grid)
    chords, windows = voice_leading.chords(pitches, WINDOW_QUARTERS * grid.resolution)
    steps = np.concatenate([_steps(melody.pitches) for melody in melodies])
    struck = np.concatenate([melody.pitches for melody in melodies])
    return {
        "repeat_rate": Ratio(float((pitches[1:] == pitches[:-1]).sum()), float(pitches[1:].size)),
        "rests": Ratio(float((pitches == REST).sum()), float(pitches.size)),
        "voices_sounding": Ratio(float((pitches != REST).sum()), float(len(pitches))),
        "notes_a_quarter": Ratio(float(len(struck)), len(pitches) / grid.resolution),
        "voice_crossings": Ratio(crossed, two),
        "parallel_fifths": Ratio(fifths, moved),
        "parallel_octaves": Ratio(octaves, moved),
        "parallels": Ratio(fifths + octaves, moved),
        "leaps_beyond_octave": Ratio(float((np.abs(steps) > OCTAVE).sum()), float(len(steps))),
        "strong_dissonances": Ratio(harsh, strong),
        "chords_in_16_quarters": Ratio(chords, windows),
        "pitch_classes": _classes(struck),
        "intervals": _intervals(steps),
        "note_lengths": _lengths(np.concatenate([melody.quarters for melody in melodies])),
    }


def _melodies(grid: Grid) -> list[Melody]:
    return [_melody(grid, voice) for voice in range(grid.voices)]


def _melody(grid: Grid, voice: int) -> Melody:
    """A note begins where one is struck or the pitch is another than before, and lasts until the next change."""
    pitches = grid.pitches[:, voice].astype(np.int64)
    is_new = grid.attacks[:, voice].astype(bool) & (pitches != REST)
    is_new |= np.concatenate([[True], pitches[1:] != pitches[:-1]]) if len(pitches) else is_new
    starts = np.flatnonzero(is_new)
    frames = np.diff(np.append(starts, len(pitches)))
    sounds = pitches[starts] != REST
    return Melody(pitches[starts][sounds], frames[sounds] / grid.resolution)


def _of_piece(piece: Piece) -> Figures:
    notes, pitched = piece.notes, _pitched(piece)
    melodies = [_top(pitched[pitched["voice"] == voice]) for voice in range(len(piece.voices))]
    steps = np.concatenate([np.zeros(0, np.int64), *[_steps(pitches) for pitches in melodies]])
    length = piece.length / TICKS
    return {
        "notes_a_quarter": Ratio(float(len(notes)), length),
        "notes_sounding": Ratio(float(notes["duration"].sum()) / TICKS, length),
        "repeat_rate": Ratio(float((steps == 0).sum()), float(len(steps))),
        "leaps_beyond_octave": Ratio(float((np.abs(steps) > OCTAVE).sum()), float(len(steps))),
        "pitch_classes": _classes(pitched["pitch"].astype(np.int64)),
        "intervals": _intervals(steps),
        "note_lengths": _lengths(notes["duration"] / TICKS),
    }


def _pitched(piece: Piece) -> np.ndarray:
    is_drum = np.array([voice.is_drum for voice in piece.voices], bool)
    return piece.notes[~is_drum[piece.notes["voice"]]] if len(piece.notes) else piece.notes


def _top(notes: np.ndarray) -> np.ndarray:
    """The highest pitch of each onset of one voice, (onsets,)."""
    order = np.lexsort((-notes["pitch"].astype(np.int64), notes["onset"]))
    onsets = notes["onset"][order]
    is_first = np.concatenate([[True], onsets[1:] != onsets[:-1]]) if len(onsets) else np.zeros(0, bool)
    return notes["pitch"][order][is_first].astype(np.int64)


def _steps(pitches: np.ndarray) -> np.ndarray:
    """From each note to the next, whether or not there is a rest between."""
    return np.diff(pitches.astype(np.int64))


def _classes(pitches: np.ndarray) -> Shares:
    return Shares(PITCH_CLASSES, np.bincount(pitches % OCTAVE, minlength=OCTAVE))


def _intervals(steps: np.ndarray) -> Shares:
    places = np.where(np.abs(steps) <= OCTAVE, steps + OCTAVE, 2 * OCTAVE + 1)
    return Shares(INTERVALS, np.bincount(places, minlength=len(INTERVALS)))


def _lengths(quarters: np.ndarray) -> Shares:
    places = np.searchsorted(np.array(LENGTHS) + NEARLY, quarters)
    return Shares(LENGTH_NAMES, np.bincount(places, minlength=len(LENGTH_NAMES)))


def _range(pitches: np.ndarray) -> Json:
    """The lowest and highest pitch of notes, and those that 5 and 95 % of them do not pass; null without a note."""
    if len(pitches) == 0:
        return dict.fromkeys(PERCENTILES)
    ordered = np.sort(pitches)
    return {name: int(ordered[round(share * (len(ordered) - 1))]) for name, share in PERCENTILES.items()}
