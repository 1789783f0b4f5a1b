"""Musical features of one score: pitch, melody, rhythm, range, texture. Nothing that tells who encoded it.

All are shares, means or ratios that do not depend on the length of the piece or on the note values it is written in.
"""

import numpy as np

from examples.composers.scores import Score

# Krumhansl and Kessler (1982), the ratings of the twelve tones after a major and a minor context.
MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
# Two notes this close begin together; triplets written in decimals differ by less.
TOGETHER = 1e-3

Features = dict[str, float]


def describe(score: Score) -> Features:
    """Some sixty numbers; every piece has all of them."""
    return {
        **pitch(score),
        **melody(score),
        **rhythm(score),
        **register(score),
        **texture(score),
    }


def pitch(score: Score) -> Features:
    """Pitch classes above the final, weighted by duration; how well major and minor fit; how many are used."""
    final = lowest_last(score)
    weights = np.zeros(12)
    for voice in score.voices:
        np.add.at(weights, (voice[:, 2].astype(int) - final) % 12, voice[:, 1])
    shares = weights / weights.sum()
    fits = {
        name: max(np.corrcoef(np.roll(profile, shift), shares)[0, 1] for shift in range(12))
        for name, profile in (("major", MAJOR), ("minor", MINOR))
    }
    return {
        **{f"pitch_{step}": share for step, share in enumerate(shares)},
        "fits_major": fits["major"],
        "fits_minor": fits["minor"],
        "pitch_entropy": entropy(shares),
    }


def melody(score: Score) -> Features:
    """Steps between successive notes of a voice, in semitones: how often each, which way, how far."""
    moves = np.concatenate([np.diff(voice[:, 2]) for voice in score.voices])
    shares = {f"move_{step:+d}": np.mean(moves == step) for step in range(-5, 6)}
    turns = [np.mean(np.diff(np.sign(np.diff(voice[:, 2]))) != 0) for voice in score.voices]
    counts = np.unique(moves, return_counts=True)[1]
    return {
        **shares,
        "leaps_up": np.mean(moves > 5),
        "leaps_down": np.mean(moves < -5),
        "octaves": np.mean(np.abs(moves) == 12),
        "move_mean": np.mean(np.abs(moves)),
        "turns": np.mean(turns),
        "move_entropy": entropy(counts / counts.sum()),
    }


def rhythm(score: Score) -> Features:
    """Durations against their median, and against the one before; the meter."""
    lengths = np.concatenate([voice[:, 1] for voice in score.voices])
    relative = np.log2(lengths / np.median(lengths))
    ratios = np.concatenate([np.log2(voice[1:, 1] / voice[:-1, 1]) for voice in score.voices])
    counts = np.unique(np.round(relative, 2), return_counts=True)[1]
    dotted = np.isclose(np.abs(ratios), np.log2(3), atol=0.02)
    return {
        "length_spread": np.std(relative),
        "length_kinds": float((counts / counts.sum() > 0.01).sum()),
        "length_entropy": entropy(counts / counts.sum()),
        "same_length": np.mean(np.abs(ratios) < 0.02),
        "halved": np.mean(np.isclose(ratios, -1, atol=0.02)),
        "doubled": np.mean(np.isclose(ratios, 1, atol=0.02)),
        "dotted": np.mean(dotted),
        "beats_in_bar": float(score.beats),
        "compound": float(score.is_compound),
    }


def register(score: Score) -> Features:
    """How high, how wide."""
    means = [voice[:, 2].mean() for voice in score.voices]
    spans = [np.ptp(voice[:, 2]) for voice in score.voices]
    every = np.concatenate([voice[:, 2] for voice in score.voices])
    return {
        "range_total": np.ptp(every),
        "range_voice": np.mean(spans),
        "highest_voice": max(means),
        "lowest_voice": min(means),
        "pitch_spread": np.std(every),
    }


def texture(score: Score) -> Features:
    """Voices together: how many sound, at which intervals, how they move; nought for a single line."""
    grid = sounding(score)
    voices = len(score.voices)
    present = ~np.isnan(grid)
    together = present.sum(axis=1)
    classes = np.zeros(7)
    for upper in range(voices):
        for lower in range(upper + 1, voices):
            apart = np.abs(grid[:, upper] - grid[:, lower])
            apart = apart[~np.isnan(apart)].astype(int) % 12
            np.add.at(classes, np.minimum(apart, 12 - apart), 1)
    shares = classes / max(classes.sum(), 1)
    return {
        "voices": float(voices),
        "sounding": together.mean(),
        "all_sound": np.mean(together == voices),
        **{f"interval_class_{step}": share for step, share in enumerate(shares)},
        "attacks_together": attacks_together(score),
        **motion(grid),
    }


def motion(grid: np.ndarray) -> Features:
    """How the outer voices move from one moment to the next: parallel, similar, contrary, oblique."""
    outer = grid[:, [0, -1]]
    outer = outer[~np.isnan(outer).any(axis=1)]
    kinds = dict.fromkeys(("parallel", "similar", "contrary", "oblique"), 0.0)
    if grid.shape[1] < 2 or len(outer) < 2:
        return kinds
    moves = np.diff(outer, axis=0)
    moves = moves[(moves != 0).any(axis=1)]
    if len(moves) == 0:
        return kinds
    same_way = np.sign(moves[:, 0]) * np.sign(moves[:, 1])
    is_parallel = (same_way > 0) & (moves[:, 0] == moves[:, 1])
    return {
        "parallel": np.mean(is_parallel),
        "similar": np.mean((same_way > 0) & ~is_parallel),
        "contrary": np.mean(same_way < 0),
        "oblique": np.mean(same_way == 0),
    }


def sounding(score: Score) -> np.ndarray:
    """The pitch of every voice at every moment at which some voice begins a note, (moments, voices); NaN: a rest."""
    moments = np.unique(np.round(np.concatenate([voice[:, 0] for voice in score.voices]), 3))
    grid = np.full((len(moments), len(score.voices)), np.nan)
    for place, voice in enumerate(score.voices):
        last = np.searchsorted(voice[:, 0], moments + TOGETHER, side="right") - 1
        known = last >= 0
        found = voice[np.maximum(last, 0)]
        known &= found[:, 0] + found[:, 1] > moments + TOGETHER
        grid[known, place] = found[known, 2]
    return grid


def attacks_together(score: Score) -> float:
    """The share of moments at which every voice begins a note; nought for a single line."""
    if len(score.voices) < 2:
        return 0.0
    onsets = np.concatenate([np.round(voice[:, 0], 3) for voice in score.voices])
    counts = np.unique(onsets, return_counts=True)[1]
    return float(np.mean(counts >= len(score.voices)))


def lowest_last(score: Score) -> int:
    """The pitch of the final: the lowest of the voices' last notes."""
    end = max(voice[-1, 0] + voice[-1, 1] for voice in score.voices)
    last = [voice[-1, 2] for voice in score.voices if voice[-1, 0] + voice[-1, 1] > end - 1]
    return int(min(last))


def entropy(shares: np.ndarray) -> float:
    """Shannon's, in bits."""
    present = shares[shares > 0]
    return float(-(present * np.log2(present)).sum())
