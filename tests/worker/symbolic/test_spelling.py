"""Names of notes in keys, and the keys of pieces that tell none."""

import pytest

from tests.worker.symbolic import made
from worker.symbolic import spelling
from worker.symbolic.piece import Key, Mode, Voice

ACCIDENTALS = {-2: "bb", -1: "b", 0: "", 1: "#", 2: "##"}


def named(pitch: int, sharps: int, mode: Mode = "major") -> str:
    name = spelling.spell(pitch, Key(0, sharps, mode))
    return f"{name.step}{ACCIDENTALS[name.alter]}{name.octave}"


@pytest.mark.parametrize(
    ("sharps", "mode", "scale"),
    [
        (0, "major", "C4 D4 E4 F4 G4 A4 B4"),
        (4, "major", "C#4 D#4 E4 F#4 G#4 A4 B4"),
        (-4, "major", "C4 Db4 Eb4 F4 G4 Ab4 Bb4"),
        (7, "major", "B#3 C#4 D#4 E#4 F#4 G#4 A#4"),
        (-7, "major", "Cb4 Db4 Eb4 Fb4 Gb4 Ab4 Bb4"),
        (-3, "minor", "C4 D4 Eb4 F4 G4 Ab4 Bb4"),
    ],
)
def test_a_scale_has_the_names_of_its_signature(sharps: int, mode: Mode, scale: str) -> None:
    names = {named(pitch, sharps, mode) for pitch in range(59, 72)}

    assert set(scale.split()) <= names


@pytest.mark.parametrize(
    ("sharps", "leading"), [(0, "G#4"), (-1, "C#4"), (-3, "B3"), (-5, "A4"), (1, "D#4"), (4, "B#3"), (6, "C##4")]
)
def test_the_leading_note_of_minor_is_raised(sharps: int, leading: str) -> None:
    tonic = 69 + 7 * sharps
    pitch = next(pitch for pitch in range(59, 72) if (pitch + 1 - tonic) % 12 == 0)

    assert named(pitch, sharps, "minor") == leading


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize("sharps", range(-7, 8))
def test_a_name_sounds_as_its_pitch(sharps: int, mode: Mode) -> None:
    for pitch in range(13, 128):
        name = spelling.spell(pitch, Key(0, sharps, mode))

        assert 12 * (name.octave + 1) + {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[
            name.step
        ] + name.alter in (pitch, pitch + 12 * (name.octave == 0))


def test_octaves_that_no_score_has_are_written_in_the_lowest() -> None:
    assert named(0, 0) == "C0"


@pytest.mark.parametrize(
    ("pitches", "key"),
    [
        ([60, 62, 64, 65, 67, 64, 67, 72, 71, 72, 60], (0, "major")),
        ([62, 66, 69, 74, 73, 74, 67, 66, 64, 62], (2, "major")),
        ([57, 64, 60, 62, 64, 56, 57, 60, 69, 68, 69], (0, "minor")),
        ([60, 63, 67, 68, 67, 65, 63, 62, 60, 59, 60], (-3, "minor")),
        ([61, 65, 68, 66, 65, 63, 61, 60, 61, 73], (-5, "major")),
    ],
)
def test_a_melody_is_in_its_key(pitches: list[int], key: tuple[int, Mode]) -> None:
    assert spelling.find_key(made.melody(pitches))[1:] == key


def test_each_transposition_has_a_key_of_at_most_six_signs() -> None:
    found = [spelling.find_key(made.melody([each + up for each in (60, 64, 67, 72, 71, 72)])) for up in range(12)]

    assert sorted(key.sharps for key in found) == list(range(-5, 7))


@pytest.mark.parametrize(
    "piece", [made.piece([]), made.melody(range(60, 72)), made.piece([(0, 1, 36, 0)], [Voice("Drums", is_drum=True)])]
)
def test_what_tells_no_key_is_in_c(piece: made.Piece) -> None:
    assert spelling.find_key(piece) == Key(0, 0, "major")
