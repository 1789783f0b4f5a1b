"""Crops are whole windows, evenly over a track, and short tracks fill one."""

import numpy as np
import pytest

from shared.audio_params import Listening
from worker import crops


def ramp(windows: float) -> np.ndarray:
    """A spectrogram whose frames are their numbers."""
    return np.repeat(np.arange(round(windows * 187), dtype=np.float32)[:, None], 96, axis=1)


def test_segments_lie_side_by_side_and_what_is_left_over_is_not_heard() -> None:
    found = crops.cut(ramp(7.5), Listening(windows_per_segment=3))

    assert found.shape == (2, 561, 96)
    assert found[:, 0, 0].tolist() == [0, 561] and found[-1, -1, 0] == 1121


def test_more_segments_than_asked_are_spread_from_the_first_to_the_last() -> None:
    listening = Listening(windows_per_segment=1, segments_per_track=5)

    assert crops.starts(41, listening).tolist() == [0, 10, 20, 30, 40]


@pytest.mark.parametrize(("windows", "expected"), [(0.25, 46), (1, 0), (2, 187)])
def test_a_track_shorter_than_a_segment_is_repeated(windows: float, expected: int) -> None:
    found = crops.cut(ramp(windows), Listening(windows_per_segment=2))

    assert found.shape == (1, 374, 96)
    assert set(found[0, :, 0].tolist()) == set(range(round(windows * 187)))
    assert found[0, 187, 0] == (expected if windows > 1 else 0)


def test_a_crop_does_not_keep_the_track_in_memory() -> None:
    mel = ramp(20)

    found = crops.cut(mel, Listening(windows_per_segment=1, segments_per_track=2))

    assert not np.shares_memory(found, mel) and found.dtype == mel.dtype


def test_no_frames_are_no_segment() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        crops.cut(np.empty((0, 96), np.float16), Listening())


def test_mean_and_deviation_over_time_are_computed_beyond_half_precision() -> None:
    random = np.random.default_rng(0)
    x = (1000 + random.normal(size=(700, 60, 3))).astype(np.float16)

    found = crops.over_time(x)

    wide = x.astype(np.float64)
    assert found.shape == (700, 6)
    np.testing.assert_allclose(found, np.concatenate([wide.mean(axis=1), wide.std(axis=1)], axis=1), rtol=1e-5)
