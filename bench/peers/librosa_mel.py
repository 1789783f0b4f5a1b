"""The taggers' log-mel spectrogram as everybody computes it: librosa's, then the logarithm."""

import librosa
import numpy as np

RATE_HZ = 16_000


def log_mel(waveform: np.ndarray) -> np.ndarray:
    """Mono at 16 kHz to (frames, 96)."""
    power = librosa.feature.melspectrogram(y=waveform, sr=RATE_HZ, n_fft=512, hop_length=256, n_mels=96)
    return np.asarray(np.log10(1 + 10_000 * power.T))
