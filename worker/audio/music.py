"""All musical descriptors of a recording, from one pass over its spectrum."""

from typing import Any

import numpy as np

from worker.audio import character, onsets, rhythm, spectrum, tonality
from worker.audio.character import Beat, Sums
from worker.audio.decoded import Decoded
from worker.audio.quality import SILENCE_DBFS
from worker.audio.spectrum import RATE_HZ as RATE_HZ

# As for its quality: what never rises above it is silence and has no key.
SILENT = 10 ** (SILENCE_DBFS / 20)

Json = dict[str, Any]  # Any: JSON


def hear(track: Decoded, argument: None) -> Json:
    """Rhythm, tonality, spectrum and character."""
    return describe(track.mono(RATE_HZ))


def describe(waveform: np.ndarray) -> Json:
    """The four of mono float32 (samples,) at 22,050 Hz; of silence, the same names without figures."""
    if np.abs(waveform).max(initial=0) < SILENT:
        parts = {"rhythm": rhythm, "tonality": tonality, "spectrum": spectrum, "character": character}
        return {name: part.nothing() for name, part in parts.items()}
    bands, timbre, sums = _listen(waveform)
    strengths, low = onsets.strength(bands)
    pulse = rhythm.find_pulse(strengths)
    beaten = rhythm.describe(strengths, pulse)
    beat = Beat(strengths, pulse, rhythm.find_pulse(low), beaten["bpm"], beaten["confidence"])
    return {
        "rhythm": beaten,
        "tonality": tonality.describe(waveform),
        "spectrum": spectrum.describe(timbre, bands),
        "character": character.describe(sums, beat),
    }


def _listen(waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray, Sums]:
    """Mel bands (frames, 128), figures of timbre (frames, 5), and the sums of its character."""
    bands = np.empty((1 + len(waveform) // spectrum.HOP, spectrum.BANDS), np.float32)
    timbre = np.empty((len(bands), len(spectrum.FIGURES)))
    sums, at = Sums(), 0
    for block in spectrum.magnitudes(waveform):
        bands[at : at + len(block)] = spectrum.mel(block)
        timbre[at : at + len(block), :4] = spectrum.timbre(block)
        sums += character.sums(block)
        at += len(block)
    timbre[:, 4] = spectrum.crossings(waveform, len(bands))
    return bands, timbre, sums
