"""Keys, tuning and pitch classes of music that is known, in every key, timbre and tuning."""

import mir_eval
import numpy as np
import pytest
from music21 import corpus

from tests.worker.audio import tunes
from worker.audio import tonality

ALL_KEYS = [(tonic, mode) for mode in tonality.MODES for tonic in range(12)]
RANDOM = np.random.default_rng(0)


def name(said: tonality.Json) -> str:
    return f"{said['key']} {said['mode']}"


@pytest.mark.parametrize(("tonic", "mode"), ALL_KEYS)
def test_a_cadence_has_its_key_in_any_timbre_and_tuning(tonic: int, mode: str) -> None:
    for timbre, cents in zip(tunes.TIMBRES, (-40, -13, 0, 37), strict=True):
        said = tonality.describe(tunes.chords(tunes.cadence(tonic, mode), timbre, cents=cents))

        assert (said["key"], said["mode"]) == (tonality.KEYS[tonic], mode), timbre
        assert said["confidence"] > 0.3


def melody(tonic: int, mode: str, random: np.random.Generator) -> list[list[float]]:
    """The chords of a cadence in any order, with a note of the scale above each, and two voices left out."""
    scale = (0, 2, 4, 5, 7, 9, 11) if mode == "major" else (0, 2, 3, 5, 7, 8, 10)
    inner = [tunes.cadence(tonic, mode)[place] for place in random.permutation(7)]
    ends = [tunes.cadence(tonic, mode)[0]]
    return [[*chord[:2], 65 + (tonic + random.choice(scale) - 5) % 12] for chord in ends + inner + ends]


def test_among_drums_and_noise_most_keys_are_right_and_others_near() -> None:
    scores = []
    for tonic, mode in ALL_KEYS:
        timbre = list(tunes.TIMBRES)[tonic % 4]
        music = tunes.chords(melody(tonic, mode, RANDOM), timbre)
        band = tunes.drums(100, len(music) / tunes.RATE_HZ, "rock")[: len(music)]
        heard = tonality.describe(music + band + 0.05 * tunes.noise(len(music) / tunes.RATE_HZ)[: len(music)])
        scores.append(mir_eval.key.weighted_score(f"{tonality.KEYS[tonic]} {mode}", name(heard)))

    assert np.mean(scores) > 0.8
    assert np.mean(np.array(scores) == 1) > 0.7


# By the signature and the last chord. The first two are plain; the key of the others needs overtones in the profiles.
CHORALES = {
    "bwv1.6": ("F", "major", "organ"),
    "bwv244.44": ("D", "major", "piano"),
    "bwv367": ("C", "major", "clarinet"),
    "bwv348": ("A#", "major", "flute"),
    "bwv359": ("A", "major", "clarinet"),
}
QUARTER_S, QUARTERS = 0.6, 40


@pytest.mark.parametrize("work", CHORALES)
def test_a_chorale_of_bach_has_its_key(work: str) -> None:
    key, mode, timbre = CHORALES[work]
    random = np.random.default_rng(0)
    score, out = corpus.parse(f"bach/{work}"), tunes.empty(QUARTERS * QUARTER_S + 3)
    for note in score.recurse().notes:
        at = float(note.getOffsetInHierarchy(score))
        for pitch in note.pitches if at < QUARTERS else ():
            tunes.lay(
                out, at * QUARTER_S, tunes.tone(pitch.midi, float(note.quarterLength) * QUARTER_S, timbre, random)
            )

    said = tonality.describe(tunes.done(out))

    assert (said["key"], said["mode"]) == (key, mode)


@pytest.mark.parametrize("tonic", [0, 4, 9])
def test_the_second_key_is_a_neighbour_of_the_first(tonic: int) -> None:
    said = tonality.describe(tunes.chords(tunes.cadence(tonic, "major"), "organ"))

    # Fifths above and below, the relative and the parallel key.
    near = [(7, "major"), (5, "major"), (9, "minor"), (0, "minor")]
    neighbours = [f"{tonality.KEYS[(tonic + step) % 12]} {mode}" for step, mode in near]
    assert name(said["second"]) in neighbours


@pytest.mark.parametrize("cents", [-45, -20, 0, 7, 30, 45])
@pytest.mark.parametrize("timbre", ["organ", "flute"])
def test_the_tuning_is_found_to_three_cents(cents: int, timbre: str) -> None:
    said = tonality.describe(tunes.chords(tunes.cadence(7, "major"), timbre, cents=cents))

    assert said["tuning_cents"] == pytest.approx(cents, abs=3)


@pytest.mark.parametrize("cents", [-33, -7, 4, 19, 46])
@pytest.mark.parametrize("pitch", [52, 57, 64, 69])
def test_one_tone_tells_the_tuning_between_the_bins_of_the_spectrum(pitch: int, cents: int) -> None:
    said = tonality.describe(tunes.chords([[pitch]] * 2, "flute", cents=cents, a_chord_s=1.0))

    assert said["tuning_cents"] == pytest.approx(cents, abs=2.5)


@pytest.mark.parametrize("pitch", [45, 57, 64, 71, 80])
def test_a_pure_tone_is_one_pitch_class(pitch: int) -> None:
    said = tonality.describe(tunes.chords([[pitch]] * 3, "flute", a_chord_s=1.0))

    assert int(np.argmax(said["chroma"])) == pitch % 12
    assert said["chroma"][pitch % 12] > 0.75


def test_two_notes_of_the_tenor_a_tone_apart_are_told_apart() -> None:
    chroma = np.array(tonality.describe(tunes.chords([[50, 52]], "flute", a_chord_s=3.0))["chroma"])

    assert set(np.argsort(chroma)[-2:].tolist()) == {2, 4}
    assert min(chroma[2], chroma[4]) > 0.25


def test_the_shares_of_pitch_classes_are_one_in_all() -> None:
    said = tonality.describe(tunes.chords(tunes.cadence(2, "minor"), "clarinet"))

    assert sum(said["chroma"]) == pytest.approx(1, abs=1e-3)
    assert min(said["chroma"]) >= 0


def test_a_transposition_turns_the_pitch_classes() -> None:
    low, high = (
        np.array(tonality.describe(tunes.chords([[60, 64, 67], [60 + step, 64 + step, 67 + step]], "organ"))["chroma"])
        for step in (0, 12)
    )
    turned = tonality.describe(tunes.chords([[63, 67, 70]] * 2, "organ"))["chroma"]

    assert np.abs(np.roll(low, 3) - turned).max() < 0.05
    assert np.abs(low - high).max() < 0.05


def atonal(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows = [random.permutation(12) for _ in range(8)]
    return tunes.chords([[48 + step, 60 + (step + 6) % 12] for row in rows for step in row], "organ", a_chord_s=0.25)


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_twelve_tones_have_no_sure_key(seed: int) -> None:
    assert tonality.describe(atonal(seed))["confidence"] < 0.2


@pytest.mark.parametrize("seconds", [3, 30])
def test_noise_has_no_sure_key(seconds: float) -> None:
    said = tonality.describe(tunes.noise(seconds, seed=1))

    assert said["confidence"] < 0.1
    assert tonality.fit(np.array(said["chroma"])).max() < 0.35


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.zeros(50_000, np.float32)])
def test_silence_has_no_key(waveform: np.ndarray) -> None:
    said = tonality.describe(waveform)

    assert said == tonality.nothing() and set(said.values()) == {None}


def test_the_level_changes_nothing() -> None:
    loud = tunes.chords(tunes.cadence(3, "minor"), "piano")

    assert tonality.describe(loud) == tonality.describe(loud * np.float32(0.125))


def test_the_profile_of_a_key_fits_that_key_best() -> None:
    for place, expected in enumerate(tonality.EXPECTED):
        fits = tonality.fit(1 / 12 + 0.1 * expected)

        assert int(np.argmax(fits)) == place
        assert fits[place] == pytest.approx(1, abs=0.1)


def test_pitches_between_blocks_of_frames_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waveform = tunes.chords(tunes.cadence(0, "major"), "organ")
    whole = tonality.pitches(waveform)

    monkeypatch.setattr(tonality, "FRAMES_A_BLOCK", 5)

    np.testing.assert_allclose(tonality.pitches(waveform), whole, rtol=1e-4)
