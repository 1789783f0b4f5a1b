"""Figures of grids and of pieces that are small enough to be counted by hand."""

import json
from typing import Any

import pytest

from tests.worker.symbolic import made
from worker.symbolic import statistics
from worker.symbolic.grid import REST
from worker.symbolic.piece import Piece, Voice

Json = dict[str, Any]  # Any: JSON

# Two bars of 2/4 in eighths: a melody with a rest over a bass of halves.
TUNE = [60, 62, 64, 64, REST, 72, 60, 73]
BASS = [48, 48, 48, 48, 43, 43, 43, 43]


@pytest.fixture
def figures() -> Json:
    grid = made.grid([list(frame) for frame in zip(TUNE, BASS, strict=True)], resolution=2, bar=4)
    return statistics.of_grids([grid])


def share(figures: Json, name: str, label: object) -> float:
    value: float = figures[name]["value"][figures[name]["labels"].index(label)]
    return value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("repeat_rate", 7 / 14),
        ("rests", 1 / 16),
        ("voices_sounding", 15 / 8),
        ("notes_a_quarter", 8 / 4),
        ("voice_crossings", 0),
        ("parallels", None),
        ("leaps_beyond_octave", 1 / 6),
        # Three strong frames have two voices: C–C, C–E and A–G.
        ("strong_dissonances", 0),
    ],
)
def test_a_figure_of_two_voices(name: str, value: float | None, figures: Json) -> None:
    assert figures[name]["value"] == (None if value is None else pytest.approx(value, abs=1e-6))


def test_intervals_are_counted_from_note_to_note_over_rests(figures: Json) -> None:
    counted = {2: 2, 8: 1, -12: 1, "beyond": 1, -5: 1}

    assert {label: share(figures, "intervals", label) for label in counted} == pytest.approx(
        {label: count / 6 for label, count in counted.items()}, abs=1e-6
    )


def test_pitch_classes_are_counted_by_the_note(figures: Json) -> None:
    counted = {"C": 4, "D": 1, "E": 1, "C#": 1, "G": 1}

    assert {label: share(figures, "pitch_classes", label) for label in counted} == {
        label: count / 8 for label, count in counted.items()
    }


def test_lengths_are_counted_in_quarters(figures: Json) -> None:
    assert [share(figures, "note_lengths", label) for label in (0.5, 1.0, 2.0)] == [5 / 8, 1 / 8, 2 / 8]


def test_a_note_struck_again_is_another_note() -> None:
    grid = made.grid([[60]] * 4)
    grid.attacks[2] = True

    figures = statistics.of_grids([grid])

    assert figures["notes_a_quarter"]["value"] == 2
    assert share(figures, "intervals", 0) == 1
    assert share(figures, "note_lengths", 0.5) == 1


def test_each_voice_has_its_range(figures: Json) -> None:
    assert figures["ranges"] == [
        {"lowest": 60, "p5": 60, "p95": 73, "highest": 73},
        {"lowest": 43, "p5": 43, "p95": 48, "highest": 48},
    ]


def test_parallels_of_a_chorus_in_fifths_are_all_its_moves() -> None:
    grid = made.grid([[67 + at, 60 + at] for at in range(8)])

    figures = statistics.of_grids([grid])

    assert figures["parallel_fifths"] == {"value": 1.0, "interval": [1.0, 1.0]}
    assert figures["parallel_octaves"]["value"] == 0


def test_chords_are_counted_in_windows_of_sixteen_quarters() -> None:
    grid = made.grid([[60 + at // 16, 72] for at in range(64 * 2)])

    assert statistics.of_grids([grid])["chords_in_16_quarters"]["value"] == 4


@pytest.mark.parametrize("frames", [[], [[REST, REST]], [[60, REST]]], ids=["empty", "silent", "one note"])
def test_hardly_anything_has_figures_too(frames: list[list[int]]) -> None:
    grid = made.grid(made.np.array(frames).reshape(-1, 2))

    json.dumps(statistics.of_grids([grid, grid]), allow_nan=False)


def test_no_grids_and_no_pieces_have_no_figures() -> None:
    assert statistics.of_grids([]) == statistics.of_pieces([]) == {}


def test_pieces_of_other_numbers_of_voices_are_taken_together() -> None:
    figures = statistics.of_grids([made.grid([[60, 50]] * 4), made.grid([[61]] * 4)])

    assert [each["highest"] for each in figures["ranges"]] == [61, 50]
    assert figures["voices_sounding"]["value"] == 1.5


@pytest.fixture
def events() -> Json:
    voices = (Voice("Piano"), Voice("Drums", is_drum=True))
    told = [(0, 1, 60, 0), (0, 2, 64, 0), (1, 1, 62, 0), (2, 2, 64, 0), (2, 1, 40, 1)]
    return statistics.of_pieces([made.piece(told, voices)])


@pytest.mark.parametrize(
    ("name", "value"),
    [("notes_a_quarter", 5 / 4), ("notes_sounding", 7 / 4), ("repeat_rate", 0), ("leaps_beyond_octave", 0)],
)
def test_a_figure_of_events(name: str, value: float, events: Json) -> None:
    assert events[name]["value"] == value


def test_the_highest_note_of_each_onset_is_the_melody_of_a_voice(events: Json) -> None:
    assert (share(events, "intervals", -2), share(events, "intervals", 2)) == (0.5, 0.5)


def test_drums_have_lengths_but_no_pitches(events: Json) -> None:
    assert share(events, "pitch_classes", "E") == 0.5
    assert share(events, "note_lengths", 1.0) == 3 / 5
    assert events["ranges"] == [{"lowest": 60, "p5": 60, "p95": 64, "highest": 64}]


@pytest.mark.parametrize("piece", [made.piece([]), made.piece([(0, 1, 40, 0)], [Voice("Drums", is_drum=True)])])
def test_pieces_without_pitches_have_figures_too(piece: Piece) -> None:
    json.dumps(statistics.of_pieces([piece]), allow_nan=False)


def test_what_was_generated_stands_beside_what_it_was_learned_from() -> None:
    sets = [
        statistics.of_grids([made.wandering(seed) for seed in seeds]) for seeds in (range(2), range(5), range(5, 9))
    ]

    compared = statistics.compare(*sets)

    assert compared["repeat_rate"] == {
        name: each["repeat_rate"] for name, each in zip(("generated", "training", "held_out"), sets, strict=True)
    }
    assert compared["ranges"]["training"] == sets[1]["ranges"]
    assert 0 < compared["intervals"]["distance"]["held_out"] < 0.3
    json.dumps(compared, allow_nan=False)


def test_the_training_set_is_no_distance_from_itself_and_other_music_is_far() -> None:
    training = statistics.of_grids([made.wandering(0)])
    other = statistics.of_grids([made.grid([[60 + 6 * (at % 2)] for at in range(64)])])

    distance = statistics.compare(other, training, training)["intervals"]["distance"]

    assert distance["held_out"] == 0 and distance["generated"] > 0.8


def test_without_held_out_pieces_there_is_no_distance_of_theirs() -> None:
    training = statistics.of_pieces([made.song()])

    compared = statistics.compare(training, training, {})

    assert compared["intervals"]["distance"] == {"generated": 0.0, "held_out": None}
    assert compared["repeat_rate"]["held_out"] is None
