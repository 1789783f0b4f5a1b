"""The figures of quality are those of the samples, whatever the blocks they come in."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests.worker.audio import sounds
from worker.audio.quality import FLOOR_DBFS, Meter

RATE_HZ = 8000
TIMES_S = np.arange(4 * RATE_HZ) / RATE_HZ


def measure(samples: np.ndarray, *, cuts: tuple[int, ...] = ()) -> dict[str, Any]:
    samples = (samples if samples.ndim == 2 else samples[:, None]).astype(np.float32)
    meter = Meter(rate_hz=RATE_HZ, channels=samples.shape[1])
    for start, end in pairwise((0, *cuts, len(samples))):
        meter.take(samples[start:end])
    return meter.done()


def tone(amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * 441 * TIMES_S)


def test_the_level_of_a_tone_is_known() -> None:
    figures = measure(tone())

    assert figures["peak_dbfs"] == pytest.approx(-6.02, abs=0.01)
    assert figures["rms_dbfs"] == pytest.approx(-9.03, abs=0.01)
    assert (figures["duration_s"], figures["rate_hz"], figures["channels"]) == (4.0, RATE_HZ, 1)
    assert figures["flags"] == [] and figures["silence_share"] == 0 and figures["clipped_share"] == 0


def test_the_level_is_the_mean_over_the_channels() -> None:
    figures = measure(np.stack([tone(), np.zeros_like(TIMES_S)], axis=1))

    assert figures["peak_dbfs"] == pytest.approx(-6.02, abs=0.01)
    assert figures["rms_dbfs"] == pytest.approx(-12.04, abs=0.01)


@pytest.mark.parametrize(("amplitude", "is_silent"), [(0.0, True), (0.0009, True), (0.0011, False)])
def test_below_minus_60_db_is_silence(amplitude: float, is_silent: bool) -> None:
    figures = measure(tone(amplitude))

    assert figures["silent"] == is_silent
    assert ("silent" in figures["flags"]) == is_silent
    assert figures["peak_dbfs"] >= FLOOR_DBFS


def test_the_share_of_silence_is_that_of_its_frames() -> None:
    half = tone()
    half[RATE_HZ : 3 * RATE_HZ] *= 1e-4

    figures = measure(half)

    assert figures["silence_share"] == 0.5
    assert not figures["silent"]


def test_a_track_shorter_than_one_frame_has_a_share_too() -> None:
    assert measure(np.zeros(10))["silence_share"] == 1.0
    assert measure(tone()[:10])["silence_share"] == 0.0


@pytest.mark.parametrize("level", [1.0, 0.985, 1.7])
def test_runs_at_both_rails_are_clipping(level: float) -> None:
    clipped = np.clip(tone(3.0), -0.99 * level, level) if level == 1.0 else np.clip(tone(3.0), -level, level)

    figures = measure(clipped)

    at_rails = np.isin(clipped.astype(np.float32), [clipped.astype(np.float32).max(), clipped.astype(np.float32).min()])
    assert figures["clipped_share"] == pytest.approx(at_rails.mean(), abs=0.02)
    assert figures["clipped_share"] > 0.5
    assert "clipped" in figures["flags"]


def test_only_runs_of_three_count_and_only_at_the_highest_level() -> None:
    samples = tone()
    samples[100:102] = 1.0
    samples[200:203] = 1.0
    samples[300:340] = 0.99
    samples[400] = samples[402] = 1.0
    samples[500:505] = -1.0

    assert measure(samples)["clipped_share"] == pytest.approx(8 / len(samples))


def test_a_higher_level_later_makes_the_earlier_no_rail() -> None:
    samples = tone()
    samples[100:200] = 0.985
    samples[20_000:20_004] = 1.0

    assert measure(samples, cuts=(10_000,))["clipped_share"] == pytest.approx(4 / len(samples))


@pytest.mark.parametrize("level", [0.5, 0.97])
def test_a_flat_top_below_full_scale_is_no_clipping(level: float) -> None:
    assert measure(np.clip(tone(3.0), -level, level))["clipped_share"] == 0


def test_each_channel_has_runs_of_its_own() -> None:
    samples = np.stack([tone(), tone()], axis=1)
    samples[100:102, 0] = samples[102:104, 1] = 1.0
    samples[200:210, 1] = 1.0

    assert measure(samples)["clipped_share"] == pytest.approx(10 / samples.size)


def test_music_at_full_scale_is_not_clipped() -> None:
    samples = sounds.sound(rate_hz=RATE_HZ, channels=2)

    assert "clipped" not in measure(samples / np.abs(samples).max())["flags"]


@pytest.mark.parametrize(("offset", "is_flagged"), [(0.02, True), (-0.02, True), (0.005, False)])
def test_the_offset_is_that_of_the_worst_channel(offset: float, is_flagged: bool) -> None:
    figures = measure(np.stack([tone(), tone() + offset], axis=1))

    assert figures["dc_offset"] == pytest.approx(offset, abs=1e-4)
    assert ("dc_offset" in figures["flags"]) == is_flagged


@pytest.mark.parametrize(("seconds", "is_short"), [(2.9, True), (3.0, False)])
def test_less_than_a_window_of_the_taggers_is_too_short(seconds: float, is_short: bool) -> None:
    assert ("too_short" in measure(tone()[: round(seconds * RATE_HZ)])["flags"]) == is_short


def test_two_channels_that_agree_are_one() -> None:
    stereo = np.stack([tone(), tone()], axis=1)
    wider = stereo.copy()
    wider[-1, 1] += 0.001

    assert "mono_as_stereo" in measure(stereo)["flags"]
    assert "mono_as_stereo" not in measure(wider)["flags"]
    assert "mono_as_stereo" not in measure(tone())["flags"]


@pytest.mark.parametrize("seed", range(20))
def test_the_figures_do_not_depend_on_the_blocks(seed: int) -> None:
    random = np.random.default_rng(seed)
    # Coarse steps make runs at the rails, of every length and across every cut.
    samples = np.clip(np.repeat(random.integers(-3, 4, (300, 2)), random.integers(1, 6, 300), axis=0) / 2, -1, 1)
    cuts = tuple(np.sort(random.choice(np.arange(1, len(samples)), 30, replace=False)).tolist())

    whole, parts = measure(samples), measure(samples, cuts=cuts)

    assert whole["clipped_share"] > 0.1
    assert parts.pop("flags") == whole.pop("flags")
    assert parts == pytest.approx(whole)
