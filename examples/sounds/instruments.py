"""A few instruments, from pitch and length to samples: mono float32 at 44.1 kHz, full scale 1.

Pitches are MIDI numbers. Each sounds like its family to an ear and to a network; none is a model of a real one.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

RATE_HZ = 44_100
TABLE = 4096
RELEASE_S = 0.06

# From a pitch, seconds and a random generator to samples.
Instrument = Callable[[int, float, np.random.Generator], np.ndarray]


def hertz(pitch: float) -> float:
    """Equal temperament, A4 = 440 Hz."""
    return float(440.0 * 2 ** ((pitch - 69) / 12))


def pluck(pitch: int, seconds: float, chance: np.random.Generator, *, damping: float = 0.996) -> np.ndarray:
    """A plucked string: noise in a loop, averaged with itself (Karplus & Strong, Computer Music Journal, 1983)."""
    period = max(2, round(RATE_HZ / hertz(pitch) - 0.5))
    turns = -(-round(seconds * RATE_HZ) // period)
    string = np.zeros((turns + 1, period), np.float32)
    string[0] = chance.uniform(-1, 1, period)
    for turn in range(turns):
        # The sample before the first of a turn is the last of the turn before.
        before = np.concatenate([string[turn - 1, -1:], string[turn, :-1]])
        string[turn + 1] = damping * 0.5 * (string[turn] + before)
    return _released(string.reshape(-1)[: round(seconds * RATE_HZ)] * 0.7, attack_s=0.001)


def strike(pitch: int, seconds: float, chance: np.random.Generator) -> np.ndarray:
    """A struck string: stretched partials, of which the higher die sooner, like a piano's."""
    return _released(_struck(pitch)[: round(seconds * RATE_HZ)], attack_s=0.003)


@cache
def _struck(pitch: int, longest_s: float = 4.0) -> np.ndarray:
    times = np.arange(round(longest_s * RATE_HZ), dtype=np.float32) / RATE_HZ
    sound = np.zeros_like(times)
    for number in range(1, 11):
        # The stiffness of a string in the middle of a piano (Fletcher & Rossing, The Physics of Musical Instruments).
        frequency = number * hertz(pitch) * np.sqrt(1 + 3e-4 * number**2)
        if frequency < RATE_HZ / 2.5:
            decay = np.exp(-times * (0.7 + 0.35 * number) * (hertz(pitch) / 260) ** 0.4)
            sound += decay * np.sin(2 * np.pi * frequency * times) / number**1.3
    return (sound * 0.45).astype(np.float32)


def bow(pitch: int, seconds: float, chance: np.random.Generator, *, brightness: float = 1.0) -> np.ndarray:
    """A bowed string: many partials, a slow attack, and a vibrato that begins late."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    depth = 0.004 * np.clip((times - 0.25) / 0.3, 0, 1)
    vibrato = 1 + depth * np.sin(2 * np.pi * chance.uniform(5.0, 6.2) * times + chance.uniform(0, 6))
    wave = _table(tuple(brightness ** (number - 1) / number for number in range(1, 24)))
    hair = 0.02 * chance.standard_normal(len(times))
    return _released(0.35 * (_read(wave, hertz(pitch) * vibrato) + hair), attack_s=0.13, release_s=0.15)


def pipe(pitch: int, seconds: float, chance: np.random.Generator) -> np.ndarray:
    """An organ: few even partials, as loud at the end as at the beginning, two ranks a little out of tune."""
    wave = _table((1.0, 0.7, 0.1, 0.5, 0.0, 0.1, 0.0, 0.25))
    frequency = np.full(round(seconds * RATE_HZ), hertz(pitch))
    return _released(0.3 * (_read(wave, frequency) + _read(wave, frequency * 1.003)), attack_s=0.05, release_s=0.2)


def buzz(pitch: int, seconds: float, chance: np.random.Generator, *, brightness: float = 0.93) -> np.ndarray:
    """An electronic bass or lead: a sawtooth that closes like a filter's envelope."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    frequency = np.full(len(times), hertz(pitch))
    bright = _table(tuple(brightness**number / number for number in range(1, 40)))
    dark = _table((1.0, 0.3))
    opening = np.exp(-times * 9)
    return _released(
        0.5 * (opening * _read(bright, frequency) + (1 - opening) * _read(dark, frequency)), attack_s=0.002
    )


def kick(pitch: int, seconds: float, chance: np.random.Generator) -> np.ndarray:
    """A bass drum: a sine that falls from 150 to 50 Hz."""
    times = np.arange(round(0.3 * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(50 + 100 * np.exp(-times * 40)) / RATE_HZ
    return (np.exp(-times * 11) * np.sin(phase)).astype(np.float32)


def snare(pitch: int, seconds: float, chance: np.random.Generator) -> np.ndarray:
    """A snare drum: a burst of noise over a short tone."""
    times = np.arange(round(0.2 * RATE_HZ)) / RATE_HZ
    noise = chance.standard_normal(len(times)) * np.exp(-times * 22)
    return (0.3 * noise + 0.4 * np.exp(-times * 30) * np.sin(2 * np.pi * 185 * times)).astype(np.float32)


def hat(pitch: int, seconds: float, chance: np.random.Generator) -> np.ndarray:
    """A closed hi-hat: the upper half of a very short noise."""
    times = np.arange(round(0.06 * RATE_HZ)) / RATE_HZ
    noise = np.diff(chance.standard_normal(len(times) + 1))
    return (0.16 * noise * np.exp(-times * 90)).astype(np.float32)


@cache
def _table(partials: tuple[float, ...]) -> np.ndarray:
    """One period of a sound with these partials."""
    phase = 2 * np.pi * np.arange(TABLE) / TABLE
    wave = sum(size * np.sin(number * phase) for number, size in enumerate(partials, start=1))
    return (wave / np.abs(wave).max()).astype(np.float32)


def _read(wave: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """The wave at a frequency in hertz that may change from sample to sample."""
    phase = np.cumsum(frequency) / RATE_HZ
    return wave[(phase * TABLE).astype(np.int64) % TABLE]


def _released(sound: np.ndarray, *, attack_s: float, release_s: float = RELEASE_S) -> np.ndarray:
    """Without clicks at either end."""
    sound = sound.astype(np.float32)
    attack, release = (min(round(each * RATE_HZ), len(sound) // 2) for each in (attack_s, release_s))
    sound[:attack] *= np.linspace(0, 1, attack, dtype=np.float32)
    sound[len(sound) - release :] *= np.linspace(1, 0, release, dtype=np.float32)
    return sound
