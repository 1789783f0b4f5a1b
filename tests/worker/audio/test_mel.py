"""The log-mel front end is librosa's, in float32, and its file is what it returns."""

from pathlib import Path

import librosa
import numpy as np
import pytest

from worker.audio import mel

RATE_HZ = 16_000
TIMES_S = np.arange(4 * RATE_HZ) / RATE_HZ
RANDOM = np.random.default_rng(0)


def by_librosa(waveform: np.ndarray) -> np.ndarray:
    # Zeros behind it change no frame that is kept; librosa warns of a signal shorter than a frame.
    padded = np.concatenate([waveform, np.zeros(512, np.float32)])
    power = librosa.feature.melspectrogram(y=padded, sr=RATE_HZ, n_fft=512, hop_length=256, n_mels=96)
    return np.log10(1 + 10_000 * power).T[: 1 + len(waveform) // 256]


def square(hz: float) -> np.ndarray:
    return np.sign(np.sin(2 * np.pi * hz * TIMES_S + 0.1))


SOUNDS = {
    "noise": RANDOM.uniform(-1, 1, len(TIMES_S)),
    "faint noise": RANDOM.normal(size=len(TIMES_S)) * 1e-4,
    "a low tone": np.sin(2 * np.pi * 55 * TIMES_S),
    "a loud low tone": np.sin(2 * np.pi * 61.3 * TIMES_S + 1),
    "half a tone": 0.5 * np.sin(2 * np.pi * 330 * TIMES_S),
    "a chord": sum(np.sin(2 * np.pi * hz * TIMES_S) for hz in (220, 277.2, 329.6)) / 3,
    "a sweep": np.sin(2 * np.pi * 20 * 400 ** (TIMES_S / 4) / np.log(400) * 4),
    "a tone between bins": np.sin(2 * np.pi * 1015.7 * TIMES_S),
    "a tone at the top": 0.5 * np.sin(2 * np.pi * 7990 * TIMES_S),
    "silence": np.zeros(len(TIMES_S)),
    "a constant": np.ones(len(TIMES_S)),
    "a full-scale square wave": square(110),
    "a full-scale square wave of whole bins": square(250),
    "a click": np.eye(1, len(TIMES_S), 12_345)[0],
}


@pytest.mark.parametrize("name", SOUNDS)
def test_it_is_librosas(name: str) -> None:
    waveform = SOUNDS[name].astype(np.float32)

    ours = mel.log_mel(waveform)

    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, by_librosa(waveform), rtol=0, atol=1e-6)


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 511, 512, 2 * RATE_HZ, 256 * 256 - 1, 256 * 256, 256 * 257 + 3])
def test_any_length_has_its_frames(samples: int) -> None:
    waveform = SOUNDS["noise"][:samples].astype(np.float32)
    waveform = np.resize(waveform, samples)

    ours = mel.log_mel(waveform)

    assert ours.shape == (1 + samples // 256, mel.BANDS)
    np.testing.assert_allclose(ours, by_librosa(waveform), rtol=0, atol=1e-6)


def test_no_samples_are_one_frame_of_silence() -> None:
    assert np.array_equal(mel.log_mel(np.zeros(0, np.float32)), np.zeros((1, 96), np.float32))


def test_the_loudest_sound_does_not_overflow() -> None:
    loudest = mel.log_mel(SOUNDS["a full-scale square wave"].astype(np.float32))

    # float16 ends at 65,504, which is 4.8 in these units.
    assert np.isfinite(loudest).all() and loudest.max() > 4.9


def test_the_waveform_is_left_alone() -> None:
    waveform = SOUNDS["noise"].astype(np.float32)
    before = waveform.copy()

    mel.log_mel(waveform)

    assert np.array_equal(waveform, before)


def test_a_window_is_what_the_taggers_hear() -> None:
    waveform = SOUNDS["noise"][: int(RATE_HZ * (mel.WINDOW_FRAMES - 1) / mel.FRAMES_PER_S)].astype(np.float32)

    assert len(mel.log_mel(waveform)) == mel.WINDOW_FRAMES


class Noise:
    def mono(self, rate_hz: int, /) -> np.ndarray:
        assert rate_hz == RATE_HZ
        return SOUNDS["noise"].astype(np.float32)


def test_the_file_holds_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "mel.f32"

    said = mel.hear(Noise(), str(path))

    written = np.fromfile(path, "<f4").reshape(said["frames"], 96)
    assert np.array_equal(written, mel.log_mel(Noise().mono(RATE_HZ)))
