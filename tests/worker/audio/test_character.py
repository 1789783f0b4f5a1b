"""Descriptors of character: what they are made of is right, and orderings hold that nobody would dispute."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.ndimage

from tests.worker.audio import tunes
from worker.audio import character, music, rhythm
from worker.audio.character import Beat, Sums

SECONDS = 15.0
RANDOM = np.random.default_rng(0)


def character_of(waveform: np.ndarray) -> character.Json:
    return music.describe(waveform)["character"]


def irregular_clicks() -> np.ndarray:
    times_s = np.cumsum(RANDOM.exponential(0.4, 100))
    return tunes.clicks(times_s[times_s < SECONDS], SECONDS)


def full_kit() -> np.ndarray:
    return tunes.done(tunes.drums(140, SECONDS, "sixteenths") + 0.1 * tunes.noise(SECONDS))


def sine_pad() -> np.ndarray:
    return tunes.done(sum(np.sin(2 * np.pi * hz * tunes.moments(SECONDS)) for hz in (220, 277.2, 329.6)))


def pad() -> np.ndarray:
    return tunes.chords([[48, 55, 64], [45, 52, 60], [41, 48, 57], [43, 50, 59]], "organ", a_chord_s=SECONDS / 4)


def chorale() -> np.ndarray:
    return tunes.chords(tunes.cadence(0, "major") * 3, "piano", a_chord_s=SECONDS / 24)


def test_four_on_the_floor_is_the_most_danceable() -> None:
    dance = character_of(tunes.drums(122, SECONDS, "four on the floor"))["danceability"]

    for other in (pad(), irregular_clicks(), chorale(), sine_pad()):
        assert dance > character_of(other)["danceability"] + 0.3


def test_the_same_loop_is_less_danceable_far_from_the_usual_tempo() -> None:
    usual, slow, fast = (
        character_of(tunes.drums(bpm, SECONDS, "four on the floor"))["danceability"] for bpm in (120, 80, 180)
    )

    assert usual > slow + 0.1 and usual > fast + 0.1


def test_a_bass_drum_on_the_beat_is_more_danceable_than_clicks() -> None:
    beats_s = np.arange(0, SECONDS, 0.5)

    said = [character_of(tunes.drums(120, SECONDS, "four on the floor")), character_of(tunes.clicks(beats_s, SECONDS))]

    assert said[0]["danceability"] > said[1]["danceability"]


def test_what_has_no_tempo_is_not_danceable() -> None:
    assert character_of(irregular_clicks())["danceability"] == 0


def test_energy_rises_from_a_pad_to_a_kit_with_noise() -> None:
    soft, piano, kit = (character_of(sound)["energy"] for sound in (sine_pad(), chorale(), full_kit()))

    assert soft + 0.1 < piano < kit - 0.3


@pytest.mark.parametrize("make", [full_kit, pad, chorale])
def test_the_level_changes_no_descriptor(make: Callable[[], np.ndarray]) -> None:
    loud = make()

    assert character_of(loud) == character_of(loud * np.float32(0.0625))


@pytest.mark.parametrize("make", [full_kit, sine_pad, pad, chorale, irregular_clicks])
def test_shares_are_from_0_to_1(make: Callable[[], np.ndarray]) -> None:
    said = character_of(make())

    assert set(said) == set(character.NAMES)
    assert all(0 <= value <= 1 for name, value in said.items() if name != "onset_rate_per_s")


@pytest.mark.parametrize("a_second", [1, 2, 4])
def test_onsets_are_counted(a_second: int) -> None:
    said = character_of(tunes.clicks(np.arange(0.2, SECONDS, 1 / a_second), SECONDS))

    assert said["onset_rate_per_s"] == pytest.approx(a_second, rel=0.05)


def test_a_steady_pulse_is_clearer_than_one_of_unsteady_players_and_that_than_none() -> None:
    steady_s = np.arange(0.3, SECONDS, 0.5)
    unsteady_s = steady_s + RANDOM.normal(scale=0.03, size=len(steady_s))

    clear, blurred, none = (
        character_of(sound)["pulse_clarity"]
        for sound in (tunes.clicks(steady_s, SECONDS), tunes.clicks(unsteady_s, SECONDS), irregular_clicks())
    )

    assert clear > 0.95 > blurred > none and none < 0.4


def test_percussion_and_harmony_are_told_apart() -> None:
    clicks, drums, held = (
        character_of(sound)["percussiveness"] for sound in (irregular_clicks(), full_kit(), sine_pad())
    )

    assert clicks > 0.95 and drums > 0.8 and held < 0.1


def test_percussion_is_its_share_of_a_mixture() -> None:
    held, clicks = sine_pad(), irregular_clicks()
    clicks *= np.sqrt(np.sum(held**2) / np.sum(clicks**2))

    assert character_of(held + clicks)["percussiveness"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("hz", "low", "high"), [(200, 0, 0.02), (1400, 0, 0.2), (1600, 0.8, 1), (6000, 0.98, 1)])
def test_brightness_is_what_lies_above_1500_hz(hz: float, low: float, high: float) -> None:
    tone = 0.5 * np.sin(2 * np.pi * hz * tunes.moments(4)).astype(np.float32)

    assert low <= character_of(tone)["brightness"] <= high


def test_the_median_is_that_of_every_second_of_17_rows() -> None:
    rows = RANDOM.normal(size=(60, 7)).astype(np.float32)
    footprint = np.zeros((17, 1), bool)
    footprint[::2] = True

    assert np.array_equal(character.median(rows), scipy.ndimage.median_filter(rows, footprint=footprint)[8:-8])


def test_danceability_is_the_formula_it_says() -> None:
    place = int(np.abs(rhythm.BPM - 120).argmin())
    clarity = np.zeros((3, rhythm.TEMPI))
    clarity[:, place] = 0.5
    low = rhythm.Pulse(clarity, clarity)
    beat = Beat(np.zeros(500), low, low, bpm=120.0, confidence=0.8)

    bass, no_bass = (
        character.danceability(beat, Sums(power=1, bass=share, percussive=3, divided=5)) for share in (0.4, 0)
    )

    assert bass == pytest.approx(0.4 * 0.8 + 0.3 * 0.5 + 0.3 * 0.6, rel=1e-3)
    assert no_bass == pytest.approx(0.4 * 0.8 + 0.3 * 0.6, rel=1e-3)


def test_energy_is_the_formula_it_says() -> None:
    assert character.energy(flux=0.085, onsets_per_s=3, brightness=0.3) == pytest.approx(0.5)
    assert character.energy(flux=9, onsets_per_s=99, brightness=1) == pytest.approx(1)


def test_half_a_second_has_a_character_without_a_pulse() -> None:
    said = character_of(tunes.drums(120, 0.3, "rock"))

    assert said["pulse_clarity"] is None and said["percussiveness"] is None
    assert said["danceability"] == 0 and said["energy"] > 0
