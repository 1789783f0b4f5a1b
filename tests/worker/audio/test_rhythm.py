"""Tempo and beats are found where they are known, by mir_eval's measures, and none are made up where there are none."""

from collections.abc import Callable

import librosa
import mir_eval
import numpy as np
import pytest

from tests.worker.audio import tunes
from worker.audio import onsets, rhythm, spectrum

SECONDS = 25.0
RANDOM = np.random.default_rng(0)


def strengths(waveform: np.ndarray) -> np.ndarray:
    return onsets.strength(np.concatenate([spectrum.mel(block) for block in spectrum.magnitudes(waveform)]))[0]


def hear(waveform: np.ndarray) -> rhythm.Json:
    heard = strengths(waveform)
    return rhythm.describe(heard, rhythm.find_pulse(heard))


def f_measure(beats_s: np.ndarray, said: rhythm.Json) -> float:
    return mir_eval.beat.f_measure(beats_s, np.array(said["beats"]))


def beats_of(bpm: float, first_s: float = 0.0) -> np.ndarray:
    return np.arange(first_s, SECONDS, 60 / bpm)


@pytest.mark.parametrize("bpm", [60, 72, 85, 100, 111.1, 120, 128, 140, 155, 170, 180])
def test_a_click_track_has_its_tempo_and_its_beats(bpm: float) -> None:
    said = hear(tunes.clicks(beats_of(bpm, 0.3), SECONDS))

    assert said["bpm"] == pytest.approx(bpm, rel=0.005)
    assert f_measure(beats_of(bpm, 0.3), said) > 0.98
    assert said["confidence"] > 0.9 and said["stability"] == 1


@pytest.mark.parametrize("bpm", [60, 72, 100, 111.1])
def test_a_tempo_is_counted_finer_than_the_grid_of_tempi(bpm: float) -> None:
    assert hear(tunes.clicks(beats_of(bpm, 0.3), SECONDS))["bpm"] == pytest.approx(bpm, abs=0.06)


def test_beats_are_where_they_sound_and_not_a_frame_beside() -> None:
    said = hear(tunes.clicks(beats_of(120, 0.3), SECONDS))

    off_s = np.array(said["beats"]) - beats_of(120, 0.3)[: len(said["beats"])]
    assert abs(np.median(off_s)) < 0.006


@pytest.mark.parametrize("pattern", tunes.PATTERNS)
@pytest.mark.parametrize("bpm", [80, 95, 110, 120, 135, 150, 160])
def test_drums_have_their_tempo_and_their_beats(pattern: str, bpm: float) -> None:
    said = hear(tunes.drums(bpm, SECONDS, pattern))

    assert said["bpm"] == pytest.approx(bpm, rel=0.01)
    assert f_measure(beats_of(bpm), said) > 0.95


@pytest.mark.parametrize("pattern", tunes.PATTERNS)
@pytest.mark.parametrize("bpm", [60, 70, 170, 180])
def test_of_slow_and_fast_drums_the_tempo_is_the_first_or_the_second_candidate(pattern: str, bpm: float) -> None:
    said = hear(tunes.drums(bpm, SECONDS, pattern))

    assert bpm in (pytest.approx(said["bpm"], rel=0.04), pytest.approx(said["bpm_other"], rel=0.04))


@pytest.mark.parametrize("bpm", [90, 120, 150])
def test_swung_drums_keep_their_beat(bpm: float) -> None:
    said = hear(tunes.drums(bpm, SECONDS, "rock", swing=0.66))

    assert said["bpm"] == pytest.approx(bpm, rel=0.01)
    assert f_measure(beats_of(bpm), said) > 0.95


def test_after_a_change_of_tempo_the_beats_go_on() -> None:
    beats_s = np.concatenate([np.arange(0.2, 20, 0.6), np.arange(20, 40, 60 / 140)])

    said = hear(tunes.clicks(beats_s, 40))

    assert f_measure(beats_s, said) > 0.9
    assert {100, 140} == {round(said["bpm"]), round(said["bpm_other"])}
    assert 0.4 < said["stability"] < 0.7


def test_a_tempo_that_sways_is_followed_and_not_called_stable() -> None:
    times_s = np.linspace(0, 40, 40_000)
    beats_passed = np.cumsum(1.8 * (1 + 0.1 * np.sin(2 * np.pi * times_s / 15))) * times_s[1]
    beats_s = np.interp(np.arange(1, beats_passed[-1]), beats_passed, times_s)

    said = hear(tunes.clicks(beats_s, 40))

    assert f_measure(beats_s, said) > 0.95
    assert said["bpm"] == pytest.approx(108, rel=0.1)
    assert said["stability"] < 0.8


def pulseless() -> dict[str, np.ndarray]:
    times_s = tunes.moments(SECONDS)
    saw = sum(np.sin(2 * np.pi * 82.4 * place * times_s) / place for place in range(1, 20))
    irregular_s = np.cumsum(RANDOM.exponential(0.4, 200))
    return {
        "noise": tunes.noise(SECONDS),
        "a little noise": tunes.noise(6.0),
        "a sine": tunes.done(np.sin(2 * np.pi * 101.3 * times_s)),
        "a saw": tunes.done(saw),
        "a chord": tunes.chords([[45, 52, 57, 61]], "organ", a_chord_s=SECONDS),
        "clicks at any time": tunes.clicks(irregular_s[irregular_s < SECONDS], SECONDS),
        "silence": np.zeros(len(times_s), np.float32),
    }


@pytest.mark.parametrize("name", pulseless())
def test_without_a_pulse_there_is_no_tempo(name: str) -> None:
    said = hear(pulseless()[name])

    assert (said["bpm"], said["bpm_other"], said["stability"], said["beats"]) == (None, None, None, [])
    assert said["confidence"] < 0.3


def test_two_seconds_have_no_tempo() -> None:
    assert hear(tunes.clicks(np.arange(0, 2, 0.25), 2.0)) == rhythm.nothing()


def test_silence_after_the_music_has_no_beats() -> None:
    said = hear(np.concatenate([tunes.drums(120, 15, "rock"), tunes.empty(15).astype(np.float32)]))

    assert said["beats"][-1] < 15.5


def test_the_beats_are_in_order_and_inside() -> None:
    said = hear(tunes.drums(120, 12.3, "sixteenths"))

    assert said["beats"] == sorted(set(said["beats"]))
    assert said["beats"][0] >= 0 and said["beats"][-1] <= 12.3


def test_the_prior_decides_between_a_tempo_and_its_double() -> None:
    strong = np.zeros((1, rhythm.TEMPI))
    for bpm in (60, 120):
        strong[0] += np.exp(-0.5 * (np.log2(rhythm.BPM / bpm) / 0.02) ** 2)

    first, second = rhythm.tempi(rhythm.Pulse(strong, strong))

    assert (first, second) == (pytest.approx(120, rel=0.01), pytest.approx(60, rel=0.01))


def test_onsets_are_found_in_notes_and_drums() -> None:
    out, random = tunes.empty(20), np.random.default_rng(3)
    times_s = np.cumsum(random.uniform(0.15, 0.6, 45))
    for at_s in times_s:
        note = tunes.tone(random.integers(50, 80), 0.5, "piano", random)
        sound = [tunes.kick(), tunes.snare(random), tunes.hat(random), note][random.integers(4)]
        tunes.lay(out, at_s, sound, random.uniform(0.4, 1))

    found_s = onsets.seconds(onsets.pick(strengths(tunes.done(out))))

    assert mir_eval.onset.f_measure(times_s[times_s < 19.9], found_s)[0] > 0.95


def test_vibrato_makes_fewer_onsets_than_plain_spectral_flux() -> None:
    times_s = tunes.moments(10)
    phase = 2 * np.pi * np.cumsum(440 * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 6 * times_s))) / tunes.RATE_HZ
    voice, clicks = (
        tunes.done(sum(np.sin(place * phase) / place for place in range(1, 8))),
        tunes.clicks(beats_of(120), 10),
    )

    def compared(strengths_of: Callable[[np.ndarray], np.ndarray]) -> float:
        """The strongest within the voice, as a share of that of clicks."""
        return strengths_of(voice)[20:-20].max() / strengths_of(clicks).max()

    def plain(waveform: np.ndarray) -> np.ndarray:
        return librosa.onset.onset_strength(y=waveform, sr=tunes.RATE_HZ)

    assert compared(strengths) < 0.5 * compared(plain)


def test_the_level_changes_nothing() -> None:
    loud = tunes.drums(120, 12, "rock")

    assert hear(loud) == hear(loud * np.float32(0.125))
