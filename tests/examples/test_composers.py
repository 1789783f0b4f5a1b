"""The demo's table: what it promises, and that its features measure what their names say."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from examples.composers import features
from examples.composers.make_table import is_held_out
from examples.composers.scores import FOLDERS, Score

HERE = Path(features.__file__).parent
KEYS = {"piece", "work", "composer"}


def read(name: str) -> list[dict[str, str]]:
    with (HERE / name).open() as file:
        return list(csv.DictReader(file))


def a_score(*voices: list[tuple[float, float, int]]) -> Score:
    return Score("piece", "work", "composer", [np.array(voice, float) for voice in voices], beats=4, is_compound=False)


# Up a C major scale in quarters, ending on its first note, an octave higher.
SCALE = [(beat, 1.0, pitch) for beat, pitch in enumerate((60, 62, 64, 65, 67, 69, 71, 72))]
DRONE = [(float(beat), 1.0, 48) for beat in range(8)]


def test_the_tables_are_as_large_as_promised() -> None:
    pieces, held_out = read("pieces.csv"), read("held_out.csv")

    assert len(pieces) + len(held_out) > 1000
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
