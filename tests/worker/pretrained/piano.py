"""A piano made of arithmetic: stiff strings that a hammer strikes, and phrases for it to play."""

import numpy as np

from worker.pretrained.notes import Note

RATE = 22_050


def phrase(*, seed: int, seconds: float, voices: int = 3) -> list[Note]:
    """Voices that each play one note after another, an octave or so apart, within a scale."""
    random = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    played = []
    for voice in range(voices):
        at, degree = 0.1, 7 * (2 + voice)
        while at < seconds - 0.6:
            length = float(random.choice([0.25, 0.5, 0.5, 1.0]))
            degree = int(np.clip(degree + random.integers(-3, 4), 7 * (2 + voice) - 3, 7 * (2 + voice) + 4))
            pitch = 24 + 12 * (degree // 7) + int(scale[degree % 7])
            # Fingers do not fall at one moment.
            onset, velocity = at + random.uniform(0, 0.012), int(random.integers(50, 110))
            offset = min(onset + 0.9 * length, seconds - 0.2)
            played.append(Note(onset, offset, pitch, velocity, velocity / 127))
            at += length
    return sorted(played)


def play(notes: list[Note], *, seed: int) -> np.ndarray:
    """Mono float32 at 22,050 Hz, a second longer than the last note."""
    random = np.random.default_rng(seed)
    sound = np.zeros(int(RATE * (max(note.offset_s for note in notes) + 1)))
    for note in notes:
        start, one = int(note.onset_s * RATE), _note(note, random)
        sound[start : start + len(one)] += one[: len(sound) - start]
    return (0.7 * sound / np.abs(sound).max()).astype(np.float32)


def _note(note: Note, random: np.random.Generator) -> np.ndarray:
    length_s = note.offset_s - note.onset_s
    times = np.arange(int(RATE * (length_s + 0.15))) / RATE
    sound = _strings(note, times, random) + _hammer(times, random)
    # A damper falls on the strings when the key is let go.
    damped = np.where(times < length_s, 1, np.exp(-(times - length_s) / 0.03))
    return sound * damped * (note.velocity / 127) ** 1.5


def _strings(note: Note, times: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Partials above the harmonics, since strings are stiff (Fletcher 1964), that decay the faster the higher they are.

    Three strings a key, a little out of tune with each other; hit at an eighth of their length, they lack each eighth
    partial.
    """
    hz = 440 * 2 ** ((note.pitch - 69) / 12)
    stiffness = 1e-4 * 2 ** ((note.pitch - 48) / 12)
    sound = np.zeros_like(times)
    for partial in range(1, 25):
        raised = partial * hz * np.sqrt(1 + stiffness * partial**2)
        if raised > 0.45 * RATE:
            break
        strength = abs(np.sin(np.pi * partial / 8)) / partial**1.3
        decay = np.exp(-times * (0.6 + raised / 900))
        for cents in (-0.7, 0.1, 0.6):
            phase = 2 * np.pi * (raised * 2 ** (cents / 1200) * times + random.random())
            sound += strength * decay * np.sin(phase) / 3
    return sound * np.minimum(times / 0.002, 1)


def _hammer(times: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return 0.05 * random.normal(size=len(times)) * np.exp(-times / 0.01)
