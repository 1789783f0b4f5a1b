"""One call hears everything: finite figures under the same names for any sound, and the same ones each time."""

import json

import numpy as np
import pytest

from tests.worker.audio import tunes
from worker.audio import ear, music, spectrum

TIMES_S = tunes.moments(6)
# A band: drums, a bass and chords in A minor.
BAND = tunes.done(
    tunes.drums(120, 12, "rock") + 0.5 * tunes.chords(tunes.cadence(9, "minor") * 3, "organ", a_chord_s=0.5)
)

SOUNDS = {
    "a band": BAND,
    "noise": tunes.noise(6),
    "a tone": 0.5 * np.sin(2 * np.pi * 440 * TIMES_S),
    "a constant": np.full(len(TIMES_S), 0.5),
    "a square wave at full scale": np.sign(np.sin(2 * np.pi * 110 * TIMES_S + 0.1)),
    "one click": np.eye(1, len(TIMES_S), 12_345)[0],
    "a click at the end": np.eye(1, len(TIMES_S), len(TIMES_S) - 1)[0],
    "music after silence": np.concatenate([np.zeros(100_000), BAND]),
    "barely a sound": 2e-3 * tunes.noise(6),
    "far too loud": 1e4 * tunes.noise(6),
    "one sample": np.ones(1),
    "a hundred samples": np.ones(100),
    "a frame": tunes.noise(2048 / 22_050),
    "a frame and a bit": tunes.noise(2600 / 22_050),
    "half a second": BAND[:11_025],
    "three seconds": BAND[: 3 * 22_050],
}
SILENCES = {"no samples": np.zeros(0), "silence": np.zeros(50_000), "noise of a converter": 5e-4 * tunes.noise(6)}


def finite(said: music.Json) -> str:
    """As JSON, which has no infinities."""
    return json.dumps(said, allow_nan=False)


@pytest.mark.parametrize("name", SOUNDS)
def test_any_sound_has_finite_figures_under_the_same_names(name: str) -> None:
    said = music.describe(SOUNDS[name].astype(np.float32))

    assert finite(said)
    assert {part: set(figures) for part, figures in said.items()} == {
        part: set(figures) for part, figures in music.describe(np.zeros(9, np.float32)).items()
    }


@pytest.mark.parametrize("name", SILENCES)
def test_of_silence_nothing_is_said(name: str) -> None:
    said = music.describe(SILENCES[name].astype(np.float32))

    beaten = said.pop("rhythm")
    assert beaten["bpm"] is None and beaten["beats"] == []
    assert {value for figures in said.values() for value in figures.values()} == {None}


def test_a_band_is_heard() -> None:
    said = music.describe(BAND)

    assert said["rhythm"]["bpm"] == pytest.approx(120, rel=0.01)
    assert (said["tonality"]["key"], said["tonality"]["mode"]) == ("A", "minor")
    assert 200 < said["spectrum"]["centroid_mean_hz"] < 8000
    assert said["character"]["danceability"] > 0.4


def test_a_track_is_asked_for_its_rate() -> None:
    class Track:
        def mono(self, rate_hz: int, /) -> np.ndarray:
            assert rate_hz == music.RATE_HZ == 22_050
            return BAND

    assert music.hear(Track(), None) == music.describe(BAND)


def test_the_ear_knows_it() -> None:
    assert ear.LISTENERS["music"] is music


def test_the_same_sound_has_the_same_figures_to_the_last_digit() -> None:
    before = BAND.copy()

    assert finite(music.describe(BAND)) == finite(music.describe(BAND))
    assert np.array_equal(BAND, before)


def test_a_waveform_that_cannot_be_written_to_is_heard() -> None:
    locked = BAND.copy()
    locked.flags.writeable = False

    assert music.describe(locked) == music.describe(BAND)


def test_only_the_cepstrum_tells_the_level() -> None:
    loud, soft = music.describe(BAND), music.describe(BAND / np.float32(4))

    for part in ("rhythm", "tonality", "character"):
        assert loud[part] == soft[part], part
    first, others = loud["spectrum"].pop("mfcc"), soft["spectrum"].pop("mfcc")
    assert first[1:] == pytest.approx(others[1:], abs=0.01) and first[0] > others[0] + 50
    assert loud["spectrum"] == pytest.approx(soft["spectrum"], rel=1e-3)


@pytest.mark.parametrize("frames", [7, 100])
def test_blocks_of_frames_leave_no_seams(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = music.describe(BAND)
    monkeypatch.setattr(spectrum, "FRAMES_A_BLOCK", frames)

    said = music.describe(BAND)

    # A median has fewer neighbours at the end of a block.
    whole["character"].pop("percussiveness"), said["character"].pop("percussiveness")
    whole["character"].pop("danceability"), said["character"].pop("danceability")
    assert said["character"] == pytest.approx(whole["character"], abs=1e-3)
    assert said["rhythm"] == whole["rhythm"]
    for name, value in whole["spectrum"].items():
        assert said["spectrum"][name] == pytest.approx(value, rel=1e-4, abs=1e-3)
