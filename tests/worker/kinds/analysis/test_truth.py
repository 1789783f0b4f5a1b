"""What an analysis says against what the manifest says is true."""

from typing import Any

import pytest

from worker.heard import Heard, Truth
from worker.kinds.analysis import truth
from worker.pretrained.notes import Note
from worker.recordings import Track

TRACK = Track(0, "a", "a.wav", "0" * 64, "0" * 64, None, None, 9.0, None, None, None)


def compare(
    said: Truth, *, bpm: float | None = None, key: str | None = None, mode: str | None = None, notes: Any = None
) -> dict[str, float]:
    music = {"rhythm": {"bpm": bpm}, "tonality": {"key": key, "mode": mode}}
    return truth.compare(Heard(TRACK, music=music, notes=notes), said)


@pytest.mark.parametrize(
    ("bpm", "exact", "octave"), [(120.0, 1, 1), (124.7, 1, 1), (125.5, 0, 0), (60.0, 0, 1), (240.5, 0, 1), (None, 0, 0)]
)
def test_a_tempo_is_right_within_four_per_cent(bpm: float | None, exact: int, octave: int) -> None:
    assert compare(Truth(tempo_bpm=120.0), bpm=bpm) == {"tempo_accuracy": exact, "tempo_accuracy_octave": octave}


@pytest.mark.parametrize("spelt", ["A minor", "Am", "a", "a min", "A MINOR"])
def test_a_key_is_read_as_people_write_it(spelt: str) -> None:
    assert compare(Truth(key=spelt), key="A", mode="minor") == {"key_score": 1.0, "key_accuracy": 1.0}


def test_a_related_key_is_half_right() -> None:
    assert compare(Truth(key="A minor"), key="C", mode="major")["key_score"] == pytest.approx(0.3)
    assert compare(Truth(key="Bb"), key="A#", mode="major")["key_accuracy"] == 1.0
    assert compare(Truth(key="F\u266f major"), key=None)["key_score"] == 0.0


def test_what_is_no_key_is_no_truth() -> None:
    assert compare(Truth(key="loud"), key="A", mode="minor") == {}


def test_notes_are_measured_by_onset_and_by_whole() -> None:
    true = [(0.0, 1.0, 60.0), (1.0, 2.0, 64.0)]

    found = compare(Truth(notes=true), notes=[Note(0.01, 0.2, 60, 90, 1.0), Note(1.02, 2.0, 64, 90, 1.0)])

    assert found["note_onset_f1"] == 1.0
    assert found["note_f1"] == 0.5


def test_silence_that_is_heard_as_silence_is_right() -> None:
    assert set(compare(Truth(notes=[]), notes=[]).values()) == {1.0}
    assert set(compare(Truth(notes=[(0.0, 1.0, 60.0)]), notes=[]).values()) == {0.0}


def test_only_what_is_known_and_was_asked_for_is_measured() -> None:
    assert compare(Truth(), bpm=120.0, key="A", mode="minor", notes=[]) == {}
    assert truth.compare(Heard(TRACK), Truth(tempo_bpm=120.0, key="A", notes=[])) == {}
