"""How voices move against one another: parallels, crossings, leaps and dissonances of (frames, voices) of pitches."""

from itertools import combinations

import numpy as np

from worker.symbolic.grid import REST, Grid

FIFTH, OCTAVE = 7, 12
# Seconds, sevenths and tritones, by the shorter way around: what strict counterpoint keeps off the strong beats.
DISSONANT = (1, 2, 6)


def parallels(pitches: np.ndarray) -> tuple[int, int, int]:
    """Parallel fifths, parallel octaves and unisons, and how often two voices moved at once.

    Of each pair of voices and each two consecutive frames in which both sound, the pair moves if both pitches change.
    It is a parallel if besides both go the same way and their distance, modulo the octave, is a fifth (7) in both
    frames or an octave or unison (0) in both. In Bach's chorales 0.0012 of the moves are.
    """
    fifths = octaves = moved = 0
    for upper, lower in combinations(range(pitches.shape[1]), 2):
        before, after, moves = _moves(pitches[:, upper], pitches[:, lower])
        alike = moves & (np.sign(after[0] - before[0]) == np.sign(after[1] - before[1]))
        # Not signed: where voices have crossed, a fourth below would be a fifth above.
        first, second = (np.abs(at[0] - at[1]) % OCTAVE for at in (before, after))
        fifths += int((alike & (first == FIFTH) & (second == FIFTH)).sum())
        octaves += int((alike & (first == 0) & (second == 0)).sum())
        moved += int(moves.sum())
    return fifths, octaves, moved


def _moves(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    both = np.stack([one, other]).astype(np.int64)
    before, after = both[:, :-1], both[:, 1:]
    sounding = ((before != REST) & (after != REST)).all(axis=0)
    return before, after, sounding & (before != after).all(axis=0)


def crossings(pitches: np.ndarray) -> tuple[int, int]:
    """Frames in which a voice sounds below one that is written under it, and frames in which two voices sound."""
    crossed, two = np.zeros(len(pitches), bool), np.zeros(len(pitches), bool)
    for upper, lower in combinations(range(pitches.shape[1]), 2):
        sounding = (pitches[:, upper] != REST) & (pitches[:, lower] != REST)
        two |= sounding
        crossed |= sounding & (pitches[:, upper] < pitches[:, lower])
    return int(crossed.sum()), int(two.sum())


def dissonances(grid: Grid) -> tuple[int, int]:
    """Strong frames with a dissonance between any two voices, and strong frames in which two voices sound.

    Dissonant are the interval classes 1, 2 and 6, so a dominant seventh is, too. Strong is the first frame of a bar,
    and its middle if the bar is a whole number of half notes long (4/4, 2/4, not 3/4).
    """
    is_even = grid.bar % (2 * grid.resolution) == 0
    is_strong = (grid.position == 0) | (is_even & (grid.position * 2 == grid.bar))
    pitches = grid.pitches[is_strong].astype(np.int64)
    harsh, two = np.zeros(len(pitches), bool), np.zeros(len(pitches), bool)
    for upper, lower in combinations(range(pitches.shape[1]), 2):
        sounding = (pitches[:, upper] != REST) & (pitches[:, lower] != REST)
        interval = (pitches[:, upper] - pitches[:, lower]) % OCTAVE
        two |= sounding
        harsh |= sounding & np.isin(np.minimum(interval, OCTAVE - interval), DISSONANT)
    return int(harsh.sum()), int(two.sum())


def chords(pitches: np.ndarray, window: int) -> tuple[int, int]:
    """Different sets of pitch classes within each whole window of so many frames, added up, and how many windows."""
    windows = len(pitches) // window
    classes = np.where(pitches == REST, 0, 1 << (pitches.astype(np.int64) % OCTAVE))
    sets = np.bitwise_or.reduce(classes, axis=1)[: windows * window].reshape(windows, window)
    ordered = np.sort(sets, axis=1)
    different = windows + int((np.diff(ordered, axis=1) != 0).sum()) if windows else 0
    # Silence is no chord.
    return different - int((ordered[:, :1] == 0).sum()), windows
