"""What a recording is like, as descriptors: each an open formula of measured quantities.

They are the same at any level of the recording. No listening test stands behind them: docs/analysis.md says how far to
trust each.
"""

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from worker.audio import onsets
from worker.audio.rhythm import BPM, PRIOR, Pulse
from worker.audio.spectrum import FRAMES_PER_S, HZ

# Where brightness begins (Juslin 2000, and the MIR toolbox after him).
BRIGHT_HZ = 1500.0
BRIGHT = int(np.searchsorted(HZ, BRIGHT_HZ))
BASS = int(np.searchsorted(HZ, onsets.LOW_HZ))
# A tenth of the power makes a bass; a click leaves less there.
ENOUGH_BASS = 0.1

# Bins up to 5.5 kHz, where most of the power is, are divided in percussion and harmony, at half the cost of all.
DIVIDED = 512
# Every second of 17 frames (0.4 s) and of 17 bins (180 Hz): FitzGerald's medians at a twentieth of their cost.
STEPS, APART = 9, 2
# Brings the median of nine to the middle (Paeth 1990): pairs of places to be put in order.
NETWORK = (
    (1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3), (5, 8), (4, 7), (3, 6), (1, 4),
    (2, 5), (4, 7), (4, 2), (6, 4), (4, 2),
)  # fmt: skip

# Of 40 pieces of game music one or two exceed each of them: so much counts as 1.
MOST_FLUX, MOST_ONSETS_PER_S, MOST_BRIGHTNESS = 0.17, 6.0, 0.6

NAMES = ("danceability", "energy", "onset_rate_per_s", "pulse_clarity", "percussiveness", "brightness")

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class Sums:
    """Of magnitudes: above 1,500 Hz and of all. Of power: below 200 Hz, of all, of percussion, and what was divided."""

    bright: float = 0.0
    magnitude: float = 0.0
    bass: float = 0.0
    power: float = 0.0
    percussive: float = 0.0
    divided: float = 0.0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def percussiveness(self) -> float | None:
        return self.percussive / self.divided if self.divided else None


@dataclass(frozen=True)
class Beat:
    """The rhythm of a recording: the pulses, of all bands and of the bass, are None if it is too short for one."""

    strengths: np.ndarray
    pulse: Pulse | None
    low_pulse: Pulse | None
    bpm: float | None
    confidence: float


def describe(sums: Sums, beat: Beat) -> Json:
    """All descriptors, of the sums over all blocks and the rhythm."""
    rate = len(onsets.pick(beat.strengths)) * FRAMES_PER_S / len(beat.strengths)
    brightness = sums.bright / sums.magnitude
    said = {
        "danceability": danceability(beat, sums),
        "energy": energy(flux=float(beat.strengths.mean()), onsets_per_s=rate, brightness=brightness),
        "onset_rate_per_s": rate,
        "pulse_clarity": None if beat.pulse is None else float(beat.pulse.clarity.max(axis=1).mean()),
        "percussiveness": sums.percussiveness,
        "brightness": brightness,
    }
    return {name: None if value is None else round(value, 4) for name, value in said.items()}


def nothing() -> Json:
    """What is said of silence."""
    return dict.fromkeys(NAMES)


def danceability(beat: Beat, sums: Sums) -> float:
    """How much there is of a steady pulse, of bass at that pulse, and of percussion, at a tempo that people tap to.

    (0.4 confidence of the tempo + 0.3 its clarity below 200 Hz, where there is enough bass, + 0.3 percussiveness) x
    PRIOR at the tempo; 0 without a tempo.
    """
    if beat.bpm is None or beat.low_pulse is None:
        return 0.0
    place = int(np.abs(BPM - beat.bpm).argmin())
    low = float(beat.low_pulse.clarity[:, max(place - 1, 0) : place + 2].max(axis=1).mean())
    low *= min(sums.bass / sums.power / ENOUGH_BASS, 1)
    return float((0.4 * beat.confidence + 0.3 * low + 0.3 * (sums.percussiveness or 0)) * PRIOR[place])


def energy(*, flux: float, onsets_per_s: float, brightness: float) -> float:
    """How much happens: 0.4 flux + 0.3 onsets + 0.3 brightness, each as a share of what is much of it, 1 at most."""
    return (
        0.4 * min(flux / MOST_FLUX, 1)
        + 0.3 * min(onsets_per_s / MOST_ONSETS_PER_S, 1)
        + 0.3 * min(brightness / MOST_BRIGHTNESS, 1)
    )


def sums(block: np.ndarray) -> Sums:
    """The sums of magnitudes (frames, 1025)."""
    magnitude, power = block.sum(axis=0, dtype=np.float64), np.square(block).sum(axis=0, dtype=np.float64)
    whole, loudness = float(magnitude.sum()), float(power.sum())
    return Sums(
        float(magnitude[BRIGHT:].sum()), whole, float(power[:BASS].sum()), loudness, *divide(block[:, :DIVIDED])
    )


def divide(block: np.ndarray) -> tuple[float, float]:
    """The power of what is short and wide rather than long and narrow (FitzGerald, DAFx 2010), and of both.

    The ends of the block and of the spectrum, where a median has too few neighbours, are left out.
    """
    edge = APART * (STEPS // 2)
    if len(block) <= 2 * edge:
        return 0.0, 0.0
    long = median(block)[:, edge:-edge] ** 2
    wide = median(block[edge:-edge].T).T ** 2
    power = block[edge:-edge, edge:-edge] ** 2
    mask = wide / np.maximum(wide + long, np.finfo(np.float32).tiny)
    return float((power * mask).sum(dtype=np.float64)), float(power.sum(dtype=np.float64))


def median(rows: np.ndarray) -> np.ndarray:
    """The median of each row and of those that are two, four, six and eight rows away on both sides."""
    count = len(rows) - APART * (STEPS - 1)
    places = [rows[APART * step : APART * step + count].copy() for step in range(STEPS)]
    for first, second in NETWORK:
        smaller = np.minimum(places[first], places[second])
        np.maximum(places[first], places[second], out=places[second])
        places[first] = smaller
    return places[STEPS // 2]
