"""Pieces as JSON: what is said is read back to the tick, and what is not as expected is refused in a sentence."""

import json
from typing import Any

import numpy as np
import pytest

from tests.worker.symbolic import made
from worker.symbolic import as_json
from worker.symbolic.piece import TICKS, Piece

Json = dict[str, Any]  # Any: JSON


def sent() -> Json:
    return {"voices": [{"name": "Melody"}], "notes": [[0, 1, 60, 80, 0], [1.5, 0.5, 62, 80, 0]]}


def assert_same(one: Piece, other: Piece) -> None:
    np.testing.assert_array_equal(one.notes, other.notes)
    for name in ("name", "voices", "tempi", "meters", "keys", "pickup"):
        assert getattr(one, name) == getattr(other, name), name


@pytest.mark.parametrize(
    "piece",
    [made.song(), made.song(parts=(1 / 3, 1 / 7)), made.changing(), made.piece([])],
    ids=["song", "triplets and septuplets", "changing", "empty"],
)
def test_what_is_said_is_read_back_to_the_tick(piece: Piece) -> None:
    told = json.loads(json.dumps(as_json.describe(piece), allow_nan=False))

    assert_same(as_json.read(told), piece)


def test_a_note_is_told_in_quarters() -> None:
    told = as_json.describe(made.piece([(1.5, 0.25, 62, 1)]))

    assert told["notes"] == [[1.5, 0.25, 62, 80, 1]]


@pytest.mark.parametrize(("piece", "bars"), [(made.melody([60] * 9), 3), (made.changing(), 7), (made.piece([]), 0)])
def test_bars_are_counted_with_the_pickup(piece: Piece, bars: int) -> None:
    assert as_json.describe(piece)["bars"] == bars


def test_voices_and_notes_are_enough() -> None:
    piece = as_json.read(sent())

    assert piece.voices[0].name == "Melody" and piece.notes["onset"].tolist() == [0, 3 * TICKS // 2]


def test_notes_may_come_in_any_order() -> None:
    told = sent()
    told["notes"].reverse()

    assert as_json.read(told).notes["pitch"].tolist() == [60, 62]


FAULTS = {
    "a piece: expected an object, received [1]": [1],
    "a piece: expected only name, voices, tempi, meters, keys, pickup, notes, bars, received tempo": {"tempo": 1},
    "voices: expected a list, received None": {"notes": []},
    "voices: expected at least one, received none": {"voices": [], "notes": []},
    "voices[0].program: expected a whole number from 0 to 127, received 128": {
        "voices": [{"name": "", "program": 128}]
    },
    "voices[0].name: expected a text of at most 200 letters, received None": {"voices": [{}]},
    "voices[0].is_drum: expected true or false, received 1": {"voices": [{"name": "", "is_drum": 1}]},
    "notes: expected a list, received abc": {**sent(), "notes": "abc"},
    "notes[0]: expected [onset, duration, pitch, velocity, voice], received [1, 2]": {**sent(), "notes": [[1, 2]]},
    "notes[0], onset: expected a number, received True": {**sent(), "notes": [[True, 1, 60, 80, 0]]},
    "notes[0], onset: expected a number, received nan": {**sent(), "notes": [[float("nan"), 1, 60, 80, 0]]},
    "notes[0], onset: expected 0 to 100000 quarters, received -1": {**sent(), "notes": [[-1, 1, 60, 80, 0]]},
    "notes[0], duration: expected more than 0 quarters, received 0": {**sent(), "notes": [[0, 0, 60, 80, 0]]},
    "notes[0], pitch: expected a whole number from 0 to 127, received 60.5": {
        **sent(),
        "notes": [[0, 1, 60.5, 80, 0]],
    },
    "notes[0], velocity: expected a whole number from 1 to 127, received 0": {**sent(), "notes": [[0, 1, 60, 0, 0]]},
    "notes[0], voice: expected a whole number from 0 to 0, received 1": {**sent(), "notes": [[0, 1, 60, 80, 1]]},
    "tempi[0].bpm: expected 1 to 2000, received 0.0": {**sent(), "tempi": [{"at": 0, "bpm": 0}]},
    "meters[0].unit: expected one of 1, 2, 4, 8, 16, 32, 64, 128, received 6": {
        **sent(),
        "meters": [{"at": 0, "beats": 3, "unit": 6}],
    },
    "keys[0].mode: expected major or minor, received dorian": {
        **sent(),
        "keys": [{"at": 0, "sharps": 0, "mode": "dorian"}],
    },
    "keys[0].sharps: expected a whole number from -7 to 7, received 8": {
        **sent(),
        "keys": [{"at": 0, "sharps": 8, "mode": "minor"}],
    },
    "expected at most 100,000 bars, received more": {
        "voices": [{"name": ""}],
        "meters": [{"at": 0, "beats": 1, "unit": 128}],
        "notes": [[0, 10_000, 60, 80, 0]],
    },
    "pickup: expected a number, received None": {**sent(), "pickup": None},
}


@pytest.mark.parametrize("said", FAULTS)
def test_what_is_not_as_expected_is_refused(said: str) -> None:
    with pytest.raises(ValueError) as refused:
        as_json.read(FAULTS[said])

    assert str(refused.value) == said


def test_more_notes_than_may_come_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_json.bounds, "MOST_NOTES", 1)

    with pytest.raises(ValueError, match="notes: expected at most 1, received 2"):
        as_json.read(sent())
