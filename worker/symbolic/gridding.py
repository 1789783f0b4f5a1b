"""From a piece to a grid of voices and back."""

from collections.abc import Sequence

import numpy as np

from worker.symbolic.grid import REST, Grid
from worker.symbolic.piece import NOTE, TICKS, USUAL_BPM, USUAL_VELOCITY, Bars, Key, Meter, Piece, Tempo, Voice

# Frames of a quarter that are tried in turn: sixteenths, triplets of eighths, both.
RESOLUTIONS = (4, 12, 24)
# Such a share of onsets on the grid is as good as all: a trill or a grace note may stand beside it.
FITTING = 0.97
# A voice that sounds two notes in less of its time than this is taken for one that plays legato.
OVERLAP = 0.05
MOST_VOICES = 8
# In place of a voice: notes of several, or chords of one.
SPREAD = -1
NAMES = {
    1: ("Melody",),
    2: ("Upper", "Lower"),
    3: ("Upper", "Middle", "Lower"),
    4: ("Soprano", "Alto", "Tenor", "Bass"),
}


def count_voices(piece: Piece) -> int | None:
    """How many voices a grid of the piece has: one for each that sings one note at a time; None where one does not."""
    parts = _parts(piece)
    if not parts or len(parts) > MOST_VOICES or not all(_is_single(notes) for _, notes in parts):
        return None
    return len(parts)


def resolution_of(pieces: Sequence[Piece]) -> int:
    """The coarsest grid on which nearly all notes begin."""
    onsets = np.concatenate([piece.notes["onset"] for piece in pieces])
    for resolution in RESOLUTIONS:
        away = np.abs((onsets * resolution + TICKS // 2) % TICKS - TICKS // 2)
        if np.mean(away <= TICKS // 32) >= FITTING:
            return resolution
    return RESOLUTIONS[-1]


def to_grid(piece: Piece, *, voices: int, resolution: int) -> Grid | None:
    """A piece on a grid; None if it has more voices than that, or none.

    Voices are ordered by their mean pitch, the highest first. A chord of one voice is spread over as many as it has
    notes. Onsets and ends go to the nearest frame, and a note is a frame long at least.
    """
    parts = _arrange(piece, voices)
    if not parts:
        return None
    frames = max(1, -(-piece.length * resolution // TICKS))
    pitches = np.full((frames, voices), REST, np.int16)
    attacks = np.zeros((frames, voices), bool)
    for place, (_, notes) in parts.items():
        _put(notes, pitches[:, place], attacks[:, place], resolution)
    return Grid(pitches, attacks, *_bars(piece, frames, resolution), resolution)


def places_of(piece: Piece, *, voices: int) -> dict[int, int]:
    """Which voice of the piece stands at which place of its grid; of chords that are spread, none."""
    return {place: voice for place, (voice, _) in _arrange(piece, voices).items() if voice != SPREAD}


def padded(grid: Grid) -> Grid:
    """With silence up to the end of its last bar."""
    missing = int(grid.bar[-1] - 1 - grid.position[-1])
    if missing <= 0:
        return grid
    silence = np.full((missing, grid.voices), REST, np.int16)
    return Grid(
        np.concatenate([grid.pitches, silence]),
        np.concatenate([grid.attacks, np.zeros((missing, grid.voices), bool)]),
        np.concatenate([grid.position, grid.position[-1] + 1 + np.arange(missing)]),
        np.concatenate([grid.bar, np.full(missing, grid.bar[-1])]),
        grid.resolution,
    )


def _arrange(piece: Piece, voices: int) -> dict[int, tuple[int, np.ndarray]]:
    """A voice of the piece and its notes for places of a grid; nothing if there is no room, or nothing to place."""
    parts = _parts(piece)
    if not parts:
        return {}
    if len(parts) > voices or not all(_is_single(notes) for _, notes in parts):
        parts = [(SPREAD, notes) for notes in _spread(np.concatenate([notes for _, notes in parts]), voices)]
    parts.sort(key=lambda part: -float(np.average(part[1]["pitch"], weights=part[1]["duration"])))
    # With fewer parts than voices the lowest is the bass, and what lies between is silent; one alone is the melody.
    last = [voices - 1] if 1 < len(parts) < voices else []
    places = [*range(len(parts) - len(last)), *last]
    return dict(zip(places, parts, strict=True))


def _bars(piece: Piece, frames: int, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """How many frames into its bar each frame is, and how many that bar has when it is whole."""
    bars = Bars(piece)
    # Up to the first whole tick: cut off here and again below, a frame would be told that it is the one before.
    number, into = bars.at(-(-np.arange(frames, dtype=np.int64) * TICKS // resolution))
    lengths = bars.lengths[number]
    if piece.pickup and len(bars) > 1:
        lengths = np.where(number == 0, np.maximum(lengths, bars.lengths[1]), lengths)
    return into * resolution // TICKS, lengths * resolution // TICKS


def _parts(piece: Piece) -> list[tuple[int, np.ndarray]]:
    """Each voice that has notes and is no drum, with its notes."""
    pitched = [place for place, voice in enumerate(piece.voices) if not voice.is_drum]
    parts = [(place, piece.notes[piece.notes["voice"] == place]) for place in pitched]
    return [(place, notes) for place, notes in parts if len(notes)]


def _is_single(notes: np.ndarray) -> bool:
    """Whether a voice sounds one note at a time, but for a little legato."""
    ends = np.maximum.accumulate(notes["onset"] + notes["duration"])
    overlap = np.maximum(ends[:-1] - notes["onset"][1:], 0)
    return bool(overlap.sum() <= OVERLAP * notes["duration"].sum())


def _spread(notes: np.ndarray, voices: int) -> list[np.ndarray]:
    """Notes of chords as voices: at each moment the highest first; nothing when more sound at once than that."""
    notes = np.sort(notes, order=("onset", "pitch"))
    free_at, last = np.zeros(voices, np.int64), np.full(voices, REST, np.int64)
    taken = np.full(len(notes), -1)
    for onset in np.unique(notes["onset"]):
        here = np.nonzero(notes["onset"] == onset)[0][::-1]
        free = np.nonzero(free_at <= onset + TICKS // 32)[0]
        if len(here) > len(free):
            return []
        for note, voice in zip(here, _nearest(notes["pitch"][here], free, last), strict=True):
            taken[note], last[voice] = voice, notes["pitch"][note]
            free_at[voice] = notes["onset"][note] + notes["duration"][note]
    return [notes[taken == voice] for voice in range(voices) if (taken == voice).any()]


def _nearest(pitches: np.ndarray, free: np.ndarray, last: np.ndarray) -> list[int]:
    """Which free voices take falling pitches, in order, so that they move least; an untried one costs an octave."""
    cost = np.where(last[free] == REST, 12, np.abs(pitches[:, None] - last[free]))
    # Both are in order from above, so this is an alignment: best[i][j] for the first i pitches and j voices.
    best = np.full((len(pitches) + 1, len(free) + 1), np.inf)
    best[0] = 0
    for note in range(len(pitches)):
        for voice in range(note, len(free)):
            best[note + 1, voice + 1] = min(best[note + 1, voice], best[note, voice] + cost[note, voice])
    chosen, voice = [], len(free)
    for note in range(len(pitches), 0, -1):
        while best[note, voice - 1] == best[note, voice]:
            voice -= 1
        voice -= 1
        chosen.append(int(free[voice]))
    return chosen[::-1]


def _put(notes: np.ndarray, pitches: np.ndarray, attacks: np.ndarray, resolution: int) -> None:
    first = (notes["onset"] * resolution + TICKS // 2) // TICKS
    end = ((notes["onset"] + notes["duration"]) * resolution + TICKS // 2) // TICKS
    for start, stop, pitch in zip(first, np.maximum(end, first + 1), notes["pitch"], strict=True):
        # What still sounds is cut off by what begins.
        pitches[start:stop], attacks[start:stop] = pitch, False
        if start < len(attacks):
            attacks[start] = True


def to_piece(
    grid: Grid,
    *,
    name: str,
    bpm: float = USUAL_BPM,
    programs: Sequence[int] = (),
    key: Key | None = None,
    names: Sequence[str] = (),
    meter: Meter | None = None,
) -> Piece:
    """A grid as notes; bars and pickup are those of its positions."""
    count = grid.voices
    names = tuple(names) or NAMES.get(count, tuple(f"Voice {place + 1}" for place in range(count)))
    voices = tuple(Voice(each, programs[place] if place < len(programs) else 0) for place, each in enumerate(names))
    notes = np.concatenate([_notes(grid, place) for place in range(count)])
    bar = int(grid.bar[0]) if len(grid) else 4 * grid.resolution
    pickup = (bar - int(grid.position[0])) * TICKS // grid.resolution if len(grid) and grid.position[0] else 0
    meter = meter or meter_of(bar, grid.resolution)
    return Piece(
        name, notes, voices, tempi=(Tempo(0, bpm),), meters=(meter,), keys=() if key is None else (key,), pickup=pickup
    ).sorted()


def meter_of(bar_frames: int, resolution: int) -> Meter:
    """The plainest meter whose bar has so many frames."""
    for unit in (4, 8, 16):
        beats = bar_frames * unit / (4 * resolution)
        if beats == int(beats) and beats >= 1:
            return Meter(0, int(beats), unit)
    return Meter(0, 4, 4)


def _notes(grid: Grid, voice: int) -> np.ndarray:
    pitches, attacks = grid.pitches[:, voice], grid.attacks[:, voice]
    before = np.concatenate([[REST], pitches[:-1]])
    begins = np.nonzero((pitches != REST) & (attacks | (pitches != before)))[0]
    changes = np.nonzero(attacks | (pitches != before))[0]
    after = np.searchsorted(changes, begins, side="right")
    ends = np.append(changes, len(grid))[after]
    notes = np.zeros(len(begins), NOTE)
    notes["onset"], notes["duration"] = begins * TICKS // grid.resolution, (ends - begins) * TICKS // grid.resolution
    notes["pitch"], notes["velocity"], notes["voice"] = pitches[begins], USUAL_VELOCITY, voice
    return notes
