"""The demo's table: what it promises, and that its features measure what their names say."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from music21 import chord, duration, meter, note, stream, tie

from examples.composers import features, scores, works
from examples.composers.features import Features
from examples.composers.make_table import Piece, assemble, is_held_out
from examples.composers.scores import FOLDERS, Score

HERE = Path(features.__file__).parent
KEYS = {"piece", "work", "composer"}


def read(name: str) -> list[dict[str, str]]:
    with (HERE / name).open() as file:
        return list(csv.DictReader(file))


Notes = Sequence[tuple[float, float, int]]


def a_score(*voices: Notes, work: str = "work", composer: str = "composer") -> Score:
    return Score("piece", work, composer, [np.array(voice, float) for voice in voices], beats=4, is_compound=False)


def a_line(pitches: list[int]) -> Notes:
    return [(float(beat), 1.0, pitch) for beat, pitch in enumerate(pitches)]


def a_piece(name: str, figures: Features, *marks: str) -> Piece:
    return Piece(f"piece {name}", name, "composer", frozenset({name, *marks}), figures)


# Up a C major scale in quarters, ending on its first note, an octave higher.
SCALE = [(beat, 1.0, pitch) for beat, pitch in enumerate((60, 62, 64, 65, 67, 69, 71, 72))]
DRONE = [(float(beat), 1.0, 48) for beat in range(8)]


def test_the_tables_are_as_large_as_promised() -> None:
    pieces, held_out = read("pieces.csv"), read("held_out.csv")

    assert len(pieces) + len(held_out) > 1000
    assert 0.13 < len(held_out) / (len(pieces) + len(held_out)) < 0.17
    assert len(set(pieces[0]) - KEYS) == 61
    assert min(Counter(row["composer"] for row in pieces).values()) >= 25
    assert set(Counter(row["composer"] for row in pieces)) == set(FOLDERS.values())
    assert sum(path.stat().st_size for path in HERE.glob("*.csv")) < 500_000


def test_the_held_out_pieces_share_no_work_and_tell_no_composer() -> None:
    pieces, held_out = read("pieces.csv"), read("held_out.csv")

    assert "composer" not in held_out[0]
    assert not {row["work"] for row in pieces} & {row["work"] for row in held_out}
    assert all(is_held_out(row["work"]) for row in held_out)
    assert [row["piece"] for row in read("held_out_composers.csv")] == [row["piece"] for row in held_out]


def test_every_feature_is_a_finite_number_and_differs_between_pieces() -> None:
    rows = read("pieces.csv")

    for name in set(rows[0]) - KEYS:
        values = np.array([float(row[name]) for row in rows])
        assert np.isfinite(values).all(), name
        assert np.ptp(values) > 0, name


def test_a_scale_over_a_drone_is_measured_as_what_it_is() -> None:
    found = features.describe(a_score(SCALE, DRONE))

    assert found["voices"] == 2
    assert found["sounding"] == 2
    assert found["range_total"] == 24
    assert found["oblique"] == 1
    assert found["fits_major"] > found["fits_minor"]
    # Eight of sixteen quarters are the drone's C, and two more are the scale's.
    assert found["pitch_0"] == pytest.approx(10 / 16)


def test_a_scale_alone_moves_by_steps_and_has_no_texture() -> None:
    found = features.describe(a_score(SCALE))

    assert found["move_+2"] == pytest.approx(5 / 7)
    assert found["move_+1"] == pytest.approx(2 / 7)
    assert found["turns"] == 0
    assert found["same_length"] == 1
    assert found["attacks_together"] == found["parallel"] == found["interval_class_0"] == 0


def test_parallel_thirds_are_parallel() -> None:
    upper = [(onset, length, pitch + 4) for onset, length, pitch in SCALE]

    found = features.describe(a_score(upper, SCALE))

    assert found["parallel"] == 1
    assert found["interval_class_4"] == 1
    assert found["attacks_together"] == 1


def test_neither_transposition_nor_augmentation_nor_repetition_changes_pitch_and_rhythm() -> None:
    other = [(2 * onset, 2 * length, pitch + 5) for onset, length, pitch in SCALE]

    first, second = a_score(SCALE), a_score(other)

    assert features.pitch(first) == pytest.approx(features.pitch(second))
    assert features.melody(first) == pytest.approx(features.melody(second))
    assert features.rhythm(first) == pytest.approx(features.rhythm(second))


def test_notes_are_read_with_ties_joined_chords_by_their_top_and_graces_and_rests_left_out() -> None:
    part = stream.Part([note.Note("C4", quarterLength=1), note.Note("C4", quarterLength=0.5), note.Rest()])
    part.append([chord.Chord(["C4", "E4", "G4"]), note.Note("D5", duration=duration.GraceDuration()), note.Note("B3")])
    part.notes[0].tie, part.notes[1].tie = tie.Tie("start"), tie.Tie("stop")

    read = scores.notes_of(part)

    assert read.tolist() == [[0, 1.5, 60], [2.5, 1, 67], [3.5, 1, 59]]


@pytest.mark.parametrize(("signature", "read"), [("3/4", (3, False)), ("6/8", (2, True)), ("9/8", (3, True))])
def test_a_meter_is_read_as_beats_and_their_division(signature: str, read: tuple[int, bool]) -> None:
    part = stream.Part([meter.TimeSignature(signature), note.Note("C4")])

    assert scores.meter_of(part) == read


def test_a_canon_from_music21_is_measured_as_what_it_is() -> None:
    tune = ["C4", "E4", "G4", "E4", "F4", "D4", "G4", "C4"]
    leader, follower = (stream.Part([note.Note(name).transpose(shift) for name in tune]) for shift in (12, 0))

    found = features.describe(a_score(*(list(map(tuple, scores.notes_of(part))) for part in (leader, follower))))

    assert found["parallel"] == found["interval_class_0"] == found["attacks_together"] == 1
    assert found["pitch_0"] == found["pitch_7"] == pytest.approx(2 / 8)
    assert found["move_+3"] == pytest.approx(1 / 7)
    assert found["leaps_down"] == pytest.approx(1 / 7)
    assert found["range_voice"] == 7


TUNE = [60, 62, 64, 65, 67, 65, 64, 62, 60, 67, 72, 71, 69, 67, 65, 64, 62, 60]


def test_a_tune_is_known_by_its_notes_under_another_title_in_another_key() -> None:
    first = works.marks(a_score(a_line([55, *TUNE]), work="tune kiss me kate"))
    second = works.marks(a_score(a_line([pitch + 5 for pitch in TUNE]), work="tune charming mollies"))
    third = works.marks(a_score(a_line(TUNE[::-1]), work="tune another"))

    joined = works.join(["tune kiss me kate", "tune charming mollies", "tune another"], [first, second, third])

    assert joined == ["tune charming mollies", "tune charming mollies", "tune another"]


def test_pieces_are_joined_however_indirectly_and_in_whatever_order() -> None:
    marked = [frozenset("ax"), frozenset("b"), frozenset("cy"), frozenset("dxy")]

    assert works.join(["a", "b", "c", "d"], marked) == ["a", "b", "a", "a"]
    assert works.join(["d", "c", "b", "a"], marked[::-1]) == ["a", "a", "b", "a"]


def test_a_chorale_and_a_fiddle_tune_are_not_one_work_by_chance() -> None:
    tune = works.marks(a_score(a_line(TUNE), work="tune reel"))
    chorale = works.marks(a_score(a_line(TUNE), work="bwv 1", composer="Bach"))

    assert tune & chorale == frozenset()


def test_of_two_pieces_with_the_same_figures_the_first_is_kept() -> None:
    rows = assemble([a_piece("b", {"one": 1.0}), a_piece("a", {"one": 1.0}), a_piece("c", {"one": 2.0})])

    assert [row["piece"] for row in rows] == ["piece b", "piece c"]


@pytest.mark.parametrize(
    ("encoding", "is_reserved"),
    [
        ("!!!YEM: Rights to all derivative electronic formats reserved.", True),
        ("<rights>© 2003 A Publisher</rights>", True),
        ("<rights>Copyright © </rights>", True),
        ("<rights></rights><creator>Landini</creator>", False),
    ],
)
def test_an_encoding_that_reserves_rights_is_known(encoding: str, is_reserved: bool) -> None:
    assert bool(scores.RESERVED.search(encoding)) == is_reserved
