"""The meter reads what EBU Tech 3341 and 3342 say that a meter reads, and what another meter reads of noise."""

import json
from typing import Any

import numpy as np
import pyloudnorm
import pytest
from scipy.signal import resample

from worker.audio import loudness

RATE_HZ = 48_000
LEVELS_OF_5_0 = (-28.0, -28.0, -24.0, -30.0, -30.0)


def read(sound: np.ndarray, rate_hz: int = RATE_HZ, *, frames: int = 65_536) -> dict[str, Any]:
    """What the meter says of (frames, channels), in blocks of so many frames."""
    meter = loudness.Meter(rate_hz, sound.shape[1])
    for at in range(0, len(sound), frames):
        meter.take(sound[at : at + frames].astype(np.float32))
    return meter.done()


def tone(*parts: tuple[float, float], channels: int = 2, rate_hz: int = RATE_HZ, hz: float = 1000) -> np.ndarray:
    """A tone of parts (dBFS of its peaks, seconds) in so many channels."""
    level = np.concatenate([np.full(round(seconds * rate_hz), 10 ** (dbfs / 20)) for dbfs, seconds in parts])
    wave = np.sin(2 * np.pi * hz * np.arange(len(level)) / rate_hz) * level
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def noise(seconds: float, *, channels: int = 2, rate_hz: int = RATE_HZ, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.normal(size=(round(seconds * rate_hz), channels)) * 0.1).astype(np.float32)


@pytest.mark.parametrize(
    ("rate_hz", "within_lu"),
    [(8_000, 0.21), (11_025, 0.11), (16_000, 0.1), (22_050, 0.1), (44_100, 0.1), (48_000, 0.1), (192_000, 0.1)],
)
@pytest.mark.parametrize("dbfs", [-23.0, -33.0])
def test_a_steady_tone_has_its_level(dbfs: float, rate_hz: int, within_lu: float) -> None:
    read_of_tone = read(tone((dbfs, 20), rate_hz=rate_hz), rate_hz)

    for name in ("integrated_lufs", "momentary_max_lufs", "short_term_max_lufs"):
        assert read_of_tone[name] == pytest.approx(dbfs, abs=within_lu)
    assert read_of_tone["range_lu"] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    "parts",
    [
        [(-36, 10), (-23, 60), (-36, 10)],
        [(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)],
        [(-26, 20), (-20, 20.1), (-26, 20)],
    ],
    ids=["Tech 3341 case 3", "case 4", "case 5"],
)
def test_the_gates_leave_out_what_is_faint(parts: list[tuple[float, float]]) -> None:
    assert read(tone(*parts))["integrated_lufs"] == pytest.approx(-23, abs=0.1)


def test_five_channels_have_their_weights() -> None:
    case_6 = np.concatenate([tone((dbfs, 20), channels=1) for dbfs in LEVELS_OF_5_0], axis=1)

    assert read(case_6)["integrated_lufs"] == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize(
    ("channels", "channel", "above_mono_lu"),
    [(6, 0, 0), (6, 2, 0), (6, 4, 1.5), (6, 5, 1.5), (4, 3, 1.5), (8, 4, 0), (8, 5, 0), (8, 6, 1.5), (7, 4, 0)],
)
def test_speakers_at_the_sides_count_more(channels: int, channel: int, above_mono_lu: float) -> None:
    sound = np.zeros((5 * RATE_HZ, channels), np.float32)
    sound[:, channel] = tone((-20, 5), channels=1)[:, 0]

    mono = read(tone((-20, 5), channels=1))["integrated_lufs"]

    assert mono == pytest.approx(-23, abs=0.1)
    assert read(sound)["integrated_lufs"] == pytest.approx(mono + above_mono_lu, abs=0.01)


def test_the_low_frequency_channel_counts_in_the_peaks_only() -> None:
    sound = np.zeros((5 * RATE_HZ, 6), np.float32)
    sound[:, 3] = tone((-20, 5), channels=1)[:, 0]

    heard = read(sound)

    assert heard["integrated_lufs"] is None and heard["momentary_max_lufs"] is None
    assert heard["sample_peak_dbfs"] == pytest.approx(-20, abs=0.01)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ([(-20, 1.34), (-30, 1.66)] * 5, "short_term_max_lufs"),
        ([(-20, 0.18), (-30, 0.22)] * 25, "momentary_max_lufs"),
    ],
    ids=["Tech 3341 case 9", "case 12"],
)
def test_the_windows_are_3_s_and_400_ms(parts: list[tuple[float, float]], name: str) -> None:
    assert read(tone(*parts))[name] == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize(
    ("levels", "range_lu"),
    [((-20, -30), 10), ((-20, -15), 5), ((-40, -20), 20), ((-50, -35, -20, -35, -50), 15)],
    ids=["Tech 3342 case 1", "case 2", "case 3", "case 4"],
)
def test_the_range_is_that_of_tech_3342(levels: tuple[float, ...], range_lu: float) -> None:
    heard = read(tone(*((dbfs, 20) for dbfs in levels)))

    assert heard["range_lu"] == pytest.approx(range_lu, abs=1)
    assert heard["dynamic_range_db"] == pytest.approx(range_lu, abs=1)


def test_fast_changes_are_dynamics_and_no_range() -> None:
    heard = read(tone(*[(-20, 0.5), (-30, 0.5)] * 20))

    assert heard["range_lu"] < 1
    assert heard["dynamic_range_db"] > 9


@pytest.mark.parametrize(
    ("period", "degrees", "amplitude", "dbtp"),
    [(4, 0, 0.5, -6), (4, 45, 0.5, -6), (6, 60, 0.5, -6), (8, 67.5, 0.5, -6), (4, 45, 1.41, 3)],
    ids=["Tech 3341 case 15", "case 16", "case 17", "case 18", "case 19"],
)
@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
def test_true_peaks_lie_between_samples(
    period: int, degrees: float, amplitude: float, dbtp: float, rate_hz: int
) -> None:
    phase = 2 * np.pi * np.arange(3 * rate_hz) / period + np.radians(degrees)
    fade = np.minimum(1, np.minimum(np.arange(3 * rate_hz), np.arange(3 * rate_hz)[::-1]) / 1000)
    sound = np.repeat((amplitude * np.sin(phase) * fade)[:, None], 2, axis=1)

    assert dbtp - 0.4 <= read(sound, rate_hz)["true_peak_dbtp"] <= dbtp + 0.2


@pytest.mark.parametrize("centre", [30, 20_000, 47_990, 48_000, 48_010, 100_005])
def test_a_true_peak_is_found_wherever_it_is(centre: int) -> None:
    sound = np.zeros((100_030, 2))
    places = np.arange(100_030) - centre - 0.5
    sound[:, 1] = 0.5 * np.sin(np.pi * places / 2 + np.pi / 2) * np.exp(-((places / 10) ** 2))

    heard = read(sound)

    assert heard["sample_peak_dbfs"] == pytest.approx(-9.0, abs=0.1)
    assert heard["true_peak_dbtp"] == pytest.approx(-6.02, abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_true_peaks_of_noise_are_those_of_a_finer_interpolation(seed: int) -> None:
    spectrum = np.fft.rfft(noise(1.7, channels=1, seed=seed)[:, 0])
    spectrum[int(0.8 * len(spectrum)) :] = 0
    sound = np.fft.irfft(spectrum) * np.hanning(2 * len(spectrum) - 2)
    finest = 20 * np.log10(np.abs(resample(sound, 32 * len(sound))).max())

    heard = read(sound[:, None])

    assert finest - 0.4 < heard["true_peak_dbtp"] < finest + 0.05


def test_from_192_khz_the_samples_are_the_peaks() -> None:
    heard = read(noise(1, rate_hz=192_000), 192_000)

    assert heard["true_peak_dbtp"] == heard["sample_peak_dbfs"]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_it_agrees_with_pyloudnorm_on_noise(rate_hz: int, channels: int) -> None:
    sound = noise(12, channels=channels, rate_hz=rate_hz)
    sound[: 3 * rate_hz] *= 0.1

    heard = read(sound, rate_hz)

    assert heard["integrated_lufs"] == pytest.approx(by_pyloudnorm(sound, rate_hz, "K-weighting"), abs=0.1)


def test_at_48_khz_the_weighting_is_the_standards() -> None:
    sound = noise(12)

    assert read(sound)["integrated_lufs"] == pytest.approx(by_pyloudnorm(sound, RATE_HZ, "DeMan"), abs=1e-6)
    np.testing.assert_allclose(
        loudness.k_weighting(RATE_HZ),
        [
            [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585],
            [1, -2, 1, 1, -1.99004745483398, 0.99007225036621],
        ],
        atol=1e-8,
    )


def by_pyloudnorm(sound: np.ndarray, rate_hz: int, weighting: str) -> float:
    return pyloudnorm.Meter(rate_hz, filter_class=weighting).integrated_loudness(sound.astype(np.float64))


@pytest.mark.parametrize("rate_hz", [11_025, 44_100])
@pytest.mark.parametrize("frames", [1, 97, 4_410, 44_100, 10_000_000])
def test_the_figures_do_not_depend_on_the_blocks(rate_hz: int, frames: int) -> None:
    sound = noise(0.41 if frames == 1 else 4.56, rate_hz=rate_hz)

    assert read(sound, rate_hz, frames=frames) == read(sound, rate_hz, frames=1000)


@pytest.mark.parametrize(("seconds", "channels"), [(0, 2), (0.2, 1), (5, 1), (5, 2), (5, 6)])
def test_silence_has_no_figures(seconds: float, channels: int) -> None:
    heard = read(np.zeros((round(seconds * RATE_HZ), channels), np.float32))

    assert set(heard.values()) == {None}


def test_what_is_below_the_gate_is_not_loud_but_has_peaks() -> None:
    heard = read(tone((-80, 5)))

    assert heard["integrated_lufs"] is None and heard["range_lu"] is None
    assert heard["sample_peak_dbfs"] == pytest.approx(-80, abs=0.01)


def test_a_short_sound_has_peaks_and_no_loudness() -> None:
    heard = read(tone((-20, 0.39)))

    assert [name for name, figure in heard.items() if figure is not None] == [
        "true_peak_dbtp", "sample_peak_dbfs", "crest_db",
    ]  # fmt: skip


def test_less_than_three_seconds_have_no_range() -> None:
    heard = read(tone((-20, 2.9)))

    assert heard["integrated_lufs"] is not None
    assert heard["short_term_max_lufs"] is None and heard["range_lu"] is None


def test_the_crest_is_the_peak_over_the_root_mean_square() -> None:
    assert read(tone((-20, 5)))["crest_db"] == pytest.approx(3.01, abs=0.01)
    assert read(np.sign(tone((-20, 5), hz=997)) * 0.5)["crest_db"] == pytest.approx(0, abs=0.01)


def test_the_answer_is_json() -> None:
    assert json.loads(json.dumps(read(noise(4)), allow_nan=False)) == read(noise(4))


def test_samples_near_the_end_of_float32_do_not_make_infinities() -> None:
    with np.errstate(all="ignore"):
        heard = read(np.sign(noise(4)) * np.float32(3e38))

    assert json.dumps(heard, allow_nan=False)
    assert heard["true_peak_dbtp"] is None and heard["sample_peak_dbfs"] == pytest.approx(769.5, abs=0.1)
