"""The filters are librosa's."""

import librosa
import numpy as np
import pytest

from worker.audio import mel, spectrum
from worker.audio.slaney import filter_bank


@pytest.mark.parametrize(
    ("rate_hz", "fft", "bands"),
    [(mel.RATE_HZ, mel.FFT, mel.BANDS), (spectrum.RATE_HZ, spectrum.FFT, spectrum.BANDS)],
    ids=["mel", "spectrum"],
)
def test_the_filter_bank_is_librosas(rate_hz: int, fft: int, bands: int) -> None:
    expected = librosa.filters.mel(sr=rate_hz, n_fft=fft, n_mels=bands).T

    np.testing.assert_allclose(filter_bank(rate_hz=rate_hz, fft=fft, bands=bands), expected, rtol=1e-6, atol=1e-9)
