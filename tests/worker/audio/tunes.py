"""Makes music whose beats and keys are known: clicks, drums, tones and cadences, at 22,050 Hz, float32."""

import numpy as np

RATE_HZ = 22_050


def lay(out: np.ndarray, at_s: float, sound: np.ndarray, gain: float = 1.0) -> None:
    """Add a sound at a moment, as much of it as there is room for."""
    first = round(at_s * RATE_HZ)
    room = out[first : first + len(sound)]
    room += gain * sound[: len(room)]


def empty(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ))


def done(out: np.ndarray) -> np.ndarray:
    """Half of full scale at the loudest."""
    return (0.5 * out / max(np.abs(out).max(), 1e-9)).astype(np.float32)


def moments(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * RATE_HZ)) / RATE_HZ


def clicks(times_s: np.ndarray, seconds: float) -> np.ndarray:
    out, times = empty(seconds), moments(0.03)
    for at_s in times_s:
        lay(out, at_s, np.sin(2 * np.pi * 1000 * times) * np.exp(-times / 0.006))
    return done(out)


def kick() -> np.ndarray:
    times = moments(0.25)
    return np.sin(2 * np.pi * (50 * times + 1.2 * (1 - np.exp(-times / 0.02)))) * np.exp(-times / 0.08)


def snare(random: np.random.Generator) -> np.ndarray:
    times = moments(0.18)
    return (0.6 * random.normal(size=len(times)) + 0.5 * np.sin(2 * np.pi * 190 * times)) * np.exp(-times / 0.05)


def hat(random: np.random.Generator) -> np.ndarray:
    times = moments(0.08)
    return 0.5 * np.diff(random.normal(size=len(times) + 1)) * np.exp(-times / 0.015)


# Bass drum, snare and hi-hat on the sixteenths of a bar of four beats.
PATTERNS = {
    "rock": ("x.......x.x.....", "....x.......x...", "x.x.x.x.x.x.x.x."),
    "four on the floor": ("x...x...x...x...", "....x.......x...", "..x...x...x...x."),
    "sixteenths": ("x......xx.......", "....x.......x...", "xxxxxxxxxxxxxxxx"),
}


def drums(bpm: float, seconds: float, pattern: str, *, swing: float = 0.5, seed: int = 0) -> np.ndarray:
    """A drum loop by players who are 4 ms off; swing says where in a beat its second half begins."""
    out, random = empty(seconds), np.random.default_rng(seed)
    sounds = ((kick(), 1.0), (snare(random), 0.7), (hat(random), 0.4))
    for step in range(int(seconds * bpm / 60 * 4)):
        beat, quarter = divmod(step, 4)
        at = beat + np.interp(quarter, [0, 2, 4], [0, swing, 1])
        for (sound, gain), row in zip(sounds, PATTERNS[pattern], strict=True):
            if row[step % 16] == "x":
                lay(out, max(at * 60 / bpm + 0.004 * random.normal(), 0), sound, gain)
    return done(out)


def noise(seconds: float, *, seed: int = 0) -> np.ndarray:
    return done(np.random.default_rng(seed).normal(size=len(empty(seconds))))


TIMBRES = {
    "organ": lambda place: 1 / place,
    "clarinet": lambda place: 1 / place if place % 2 else 0.05 / place,
    "piano": lambda place: place**-1.5,
    "flute": lambda place: 0.25 ** (place - 1),
}


def tone(pitch: float, seconds: float, timbre: str, random: np.random.Generator) -> np.ndarray:
    """A note of a MIDI pitch with up to twelve partials; that of a piano decays and is a little inharmonic."""
    times, hz = moments(seconds), 440 * 2 ** ((pitch - 69) / 12)
    out = np.zeros(len(times))
    for place in range(1, 13):
        partial_hz = place * hz * (np.sqrt(1 + 4e-4 * place**2) if timbre == "piano" else 1)
        decay = np.exp(-times * (0.6 + 0.5 * place)) if timbre == "piano" else 1
        if partial_hz < 9500:
            phase = random.uniform(0, 2 * np.pi)
            out += TIMBRES[timbre](place) * np.sin(2 * np.pi * partial_hz * times + phase) * decay
    return out * np.minimum(times / 0.01, 1) * np.clip((seconds - times) / 0.05, 0, 1)


def chords(pitches: list[list[float]], timbre: str, *, cents: float = 0.0, a_chord_s: float = 0.6) -> np.ndarray:
    """A chord after the other."""
    out, random = empty(len(pitches) * a_chord_s), np.random.default_rng(len(pitches))
    for place, chord in enumerate(pitches):
        for pitch in chord:
            lay(out, place * a_chord_s, tone(pitch + cents / 100, a_chord_s, timbre, random))
    return done(out)


# Steps above the tonic of I IV V I VI II V I, with the leading tone in minor.
CADENCES = {
    "major": ((0, 4, 7), (5, 9, 0), (7, 11, 2), (0, 4, 7), (9, 0, 4), (2, 5, 9), (7, 11, 2), (0, 4, 7)),
    "minor": ((0, 3, 7), (5, 8, 0), (7, 11, 2), (0, 3, 7), (8, 0, 3), (2, 5, 8), (7, 11, 2), (0, 3, 7)),
}


def cadence(tonic: int, mode: str) -> list[list[float]]:
    """Four voices: the root in the bass, and each step of the chord in the octave from F3."""
    return [
        [41 + (tonic + chord[0] - 5) % 12, *(53 + (tonic + step - 5) % 12 for step in chord)]
        for chord in CADENCES[mode]
    ]
