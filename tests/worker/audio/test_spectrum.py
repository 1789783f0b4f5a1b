"""The figures of timbre are librosa's by the same names, frame by frame."""

import librosa
import numpy as np
import pytest

from tests.worker.audio import tunes
from worker.audio import spectrum

RATE_HZ = spectrum.RATE_HZ
TIMES_S = tunes.moments(4.0)
RANDOM = np.random.default_rng(0)

SOUNDS = {
    "noise": RANDOM.uniform(-1, 1, len(TIMES_S)),
    "faint noise": RANDOM.normal(size=len(TIMES_S)) * 1e-3,
    "a chord": tunes.chords([[48, 55, 64, 71]], "organ", a_chord_s=4.0),
    "a sweep": 0.5 * np.sin(2 * np.pi * 20 * 400 ** (TIMES_S / 4) / np.log(400) * 4),
    "a square wave": np.sign(np.sin(2 * np.pi * 110 * TIMES_S + 0.1)),
    "drums": tunes.drums(120, 4.0, "rock"),
    "a melody": tunes.chords(tunes.cadence(5, "minor"), "piano", a_chord_s=0.5),
}


@pytest.fixture(params=SOUNDS)
def waveform(request: pytest.FixtureRequest) -> np.ndarray:
    return SOUNDS[request.param].astype(np.float32)


def magnitudes(waveform: np.ndarray) -> np.ndarray:
    return np.concatenate(list(spectrum.magnitudes(waveform)))


def by_librosa(waveform: np.ndarray) -> np.ndarray:
    return np.abs(librosa.stft(waveform, n_fft=2048, hop_length=512)).T


def described(waveform: np.ndarray) -> spectrum.Json:
    blocks = magnitudes(waveform)
    crossings = spectrum.crossings(waveform, len(blocks))
    return spectrum.describe(np.column_stack([spectrum.timbre(blocks), crossings]), spectrum.mel(blocks))


def test_the_spectrum_is_librosas(waveform: np.ndarray) -> None:
    expected = by_librosa(waveform)

    np.testing.assert_allclose(magnitudes(waveform), expected, rtol=0, atol=1e-6 * expected.max())


@pytest.mark.parametrize("samples", [0, 1, 511, 512, 2047, 2048, 512 * 255, 512 * 256 - 1, 512 * 256, 512 * 513 + 7])
def test_any_length_has_its_frames(samples: int) -> None:
    waveform = np.resize(SOUNDS["noise"], samples).astype(np.float32)

    ours = magnitudes(waveform)

    assert ours.shape == (1 + samples // 512, 1025) and ours.dtype == np.float32
    # librosa warns of a signal shorter than a frame; zeros behind it change no frame that is kept.
    expected = by_librosa(np.concatenate([waveform, np.zeros(2048, np.float32)]))[: len(ours)]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-4)


def test_the_figures_of_each_frame_are_librosas(waveform: np.ndarray) -> None:
    given = by_librosa(waveform).T
    # The first frames of drums and sweeps are all but silent: no figure of rounding errors is right.
    loud = given.sum(axis=0) > 1e-3 * given.sum(axis=0).max()

    centroid, bandwidth, rolloff, flatness = spectrum.timbre(magnitudes(waveform))[loud].T

    features = librosa.feature
    np.testing.assert_allclose(centroid, features.spectral_centroid(S=given, sr=RATE_HZ)[0, loud], rtol=2e-4, atol=0.02)
    np.testing.assert_allclose(bandwidth, features.spectral_bandwidth(S=given, sr=RATE_HZ)[0, loud], rtol=1e-3, atol=3)
    np.testing.assert_allclose(flatness, features.spectral_flatness(S=given)[0, loud], rtol=1e-2, atol=1e-7)
    # At the very edge of a bin, rounding decides.
    off_hz = np.abs(rolloff - features.spectral_rolloff(S=given, sr=RATE_HZ)[0, loud])
    assert off_hz.max() < 1.01 * spectrum.BIN_HZ and np.mean(off_hz < 0.01) > 0.98


def test_the_cepstrum_is_librosas(waveform: np.ndarray) -> None:
    expected = librosa.feature.mfcc(y=waveform, sr=RATE_HZ, n_mfcc=13).mean(axis=1)

    ours = spectrum.cepstrum(spectrum.mel(magnitudes(waveform)))

    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=0.02)


def test_the_zero_crossings_are_librosas(waveform: np.ndarray) -> None:
    expected = librosa.feature.zero_crossing_rate(waveform, frame_length=2048, hop_length=512)[0]

    ours = spectrum.crossings(waveform, len(expected))

    # librosa leaves out a change at the first sample of a frame, and repeats the ends of the track.
    np.testing.assert_allclose(ours[2:-2], expected[2:-2], atol=1.01 / 2048)


def test_figures_are_what_they_are_called() -> None:
    tone, hiss = (described(SOUNDS[name].astype(np.float32)) for name in ("a chord", "noise"))

    assert tone["flatness_mean"] < 0.01 < 0.4 < hiss["flatness_mean"] < 0.7
    assert hiss["centroid_mean_hz"] == pytest.approx(RATE_HZ / 4, rel=0.02)
    assert hiss["rolloff_mean_hz"] == pytest.approx(0.85 * RATE_HZ / 2, rel=0.02)
    assert hiss["zero_crossing_rate_mean"] == pytest.approx(0.5, abs=0.02)
    assert hiss["bandwidth_mean_hz"] > 2 * tone["bandwidth_mean_hz"] > 100


def test_pauses_do_not_count() -> None:
    music = SOUNDS["a melody"].astype(np.float32)
    with_pause = np.concatenate([music, np.zeros(20 * RATE_HZ, np.float32)])

    alone, paused = described(music), described(with_pause)

    assert paused["centroid_mean_hz"] == pytest.approx(alone["centroid_mean_hz"], rel=0.02)
    assert paused["mfcc"] == pytest.approx(alone["mfcc"], rel=0.05, abs=2)


def test_silence_has_the_same_names() -> None:
    said = described(SOUNDS["drums"])

    assert set(spectrum.nothing()) == set(said) and set(spectrum.nothing().values()) == {None}
    assert len(said["mfcc"]) == 13
