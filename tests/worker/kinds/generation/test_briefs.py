"""What is to be written around a score that is given: which bars, which voices, in which meter."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shared.errors import JobFailed
from shared.kinds.generation import GenerateParams
from tests.worker import chorales
from worker.composition.event_coding import EventCoding
from worker.composition.voice_coding import VoiceCoding
from worker.composition.voices import FREE
from worker.kinds.generation.briefs import Brief, Usual, brief
from worker.symbolic.piece import NOTE, TICKS, Meter, Piece, Voice

CODING = VoiceCoding(voices=4, resolution=4, low=30, high=96)
EVENTS = EventCoding(resolution=12, instruments=(0, 52))
SONG = chorales.chorale(3)
# Never read: the score is given beside it.
CONTENT = {"content": "TVRoZA=="}


def asked(**params: Any) -> GenerateParams:
    return GenerateParams.model_validate(params)


def of(piece: Piece | None, usual: Usual | None = None, **params: Any) -> Brief:
    return brief(CODING, usual or Usual(), asked(**params), piece)


def with_pickup(piece: Piece, quarters: int = 1) -> Piece:
    """The same music, of which the first quarters are a pickup."""
    return replace(piece, pickup=quarters * TICKS)


def test_a_prompt_stands_to_the_end_of_its_bars_though_they_end_in_silence() -> None:
    notes = SONG.notes[SONG.notes["onset"] < 6 * TICKS]

    made = of(replace(SONG, notes=notes), prompt={**CONTENT, "bars": 2}, bars=4)

    assert (made.plan.given[:32] != FREE).all()
    assert (made.plan.given[32:] == FREE).all()
    assert len(made.plan.given) == 64


def test_without_bars_all_of_a_prompt_stands_and_the_music_goes_on_from_there() -> None:
    notes = SONG.notes[SONG.notes["onset"] < 6 * TICKS]

    made = of(replace(SONG, notes=notes), prompt=CONTENT, bars=4)

    assert (made.plan.given[:24] != FREE).all()
    assert (made.plan.given[24:] == FREE).all()


def test_a_pickup_is_no_bar() -> None:
    made = of(with_pickup(SONG), prompt={**CONTENT, "bars": 2}, bars=4)

    assert made.pickup == TICKS
    assert (made.plan.given[: 4 + 32] != FREE).all()
    assert len(made.plan.given) == 4 + 64
    assert made.position is not None
    assert made.position[:5].tolist() == [12, 13, 14, 15, 0]


def test_what_follows_a_prompt_is_in_the_meter_of_its_last_bar() -> None:
    song = replace(SONG, meters=(Meter(0, 4, 4), Meter(4 * TICKS, 3, 4), Meter(10 * TICKS, 2, 4)))

    made = of(song, prompt={**CONTENT, "bars": 2}, bars=4)

    assert made.meters == (Meter(0, 4, 4), Meter(4 * TICKS, 3, 4))
    assert len(made.plan.given) == 16 + 3 * 12
    assert made.bar is not None
    assert made.bar[-12:].tolist() == [12] * 12


def test_a_prompt_as_long_as_the_piece_leaves_nothing_to_write() -> None:
    for bars in (3, 4):
        with pytest.raises(JobFailed, match="4 bars") as failed:
            of(SONG, prompt=CONTENT, bars=bars)

        assert failed.value.code == "prompt_too_long"


def test_one_voice_alone_is_the_melody() -> None:
    alone = replace(SONG, notes=SONG.notes[SONG.notes["voice"] == 0])

    made = of(alone, melody=CONTENT)

    assert made.given_voices == {0}
    assert (made.plan.given[:, 0] != FREE).all()
    assert (made.plan.given[:, 1:] == FREE).all()


@pytest.mark.parametrize(("bars", "frames"), [([1, 1], (4, 20)), ([0, 0], (0, 4)), ([4, 4], (52, 68))])
def test_the_bars_that_are_named_are_free_from_bar_line_to_bar_line(bars: list[int], frames: tuple[int, int]) -> None:
    made = of(with_pickup(SONG), infill={**CONTENT, "bars": [bars], "voices": [2]})

    is_free = made.plan.given == FREE
    first, last = frames
    assert is_free[first : min(last, len(is_free)), 2].all()
    assert is_free.sum() == min(last, len(is_free)) - first
    assert len(is_free) == 68


def test_a_voice_that_is_written_anew_does_not_go_on_with_a_note_that_had_ended() -> None:
    notes = SONG.notes.copy()
    tied = (notes["voice"] == 3) & (notes["onset"] == 3 * TICKS)
    notes["duration"][tied] = 2 * TICKS
    notes = notes[~((notes["voice"] == 3) & (notes["onset"] == 4 * TICKS))]

    made = of(replace(SONG, notes=notes), infill={**CONTENT, "bars": [[2, 2]]})

    assert made.plan.fresh is not None
    assert made.plan.fresh[16].tolist() == [True, True, True, False]
    assert made.plan.fresh.sum() == 3


@pytest.mark.parametrize("key", ["prompt", "melody"])
def test_drums_alone_are_no_score(key: str) -> None:
    drums = Piece("", np.array([(0, TICKS, 36, 90, 0)], NOTE), (Voice("Drums", 0, is_drum=True),))

    with pytest.raises(JobFailed) as failed:
        of(drums, **{key: CONTENT})

    assert failed.value.code in ("score_empty", "too_many_voices")


@pytest.mark.parametrize("piece", [None, replace(SONG, meters=(Meter(0, 7, 16),))])
def test_a_bar_that_is_no_whole_number_of_frames_is_refused(piece: Piece | None) -> None:
    coarse = CODING.model_copy(update={"resolution": 2})
    params = asked(meter="7/16") if piece is None else asked(prompt=CONTENT)

    with pytest.raises(JobFailed) as failed:
        brief(coarse, Usual(), params, piece)

    assert failed.value.code == "meter_off_grid"


def test_notes_between_the_frames_are_counted() -> None:
    notes = SONG.notes.copy()
    notes["onset"][:5] += TICKS // 3

    made = of(replace(SONG, notes=notes).sorted(), prompt={**CONTENT, "bars": 2})

    assert made.given is not None
    assert made.given.moved == 5


def test_a_piece_beyond_all_measure_is_refused() -> None:
    with pytest.raises(JobFailed) as failed:
        of(None, Usual(beats=32, unit=1), bars=256)

    assert failed.value.code == "piece_too_long"


def test_of_notes_a_prompt_without_bars_stands_to_its_end() -> None:
    song = replace(SONG, notes=SONG.notes[SONG.notes["onset"] < 6 * TICKS])

    made = brief(EVENTS, Usual(), asked(prompt=CONTENT, bars=4), song)

    assert made.plan.given_units == 72  # type: ignore[union-attr]
    assert len(made.plan.given) == len(song.notes)


def test_of_notes_a_pickup_is_no_bar() -> None:
    made = brief(EVENTS, Usual(), asked(prompt={**CONTENT, "bars": 2}, bars=4), with_pickup(SONG))

    assert made.plan.given_units == 12 + 96  # type: ignore[union-attr]
    assert made.plan.units == 12 + 4 * 48  # type: ignore[union-attr]
    assert made.pickup == TICKS


def test_of_notes_an_instrument_that_was_not_learned_cannot_go_on() -> None:
    other = replace(SONG, voices=tuple(each._replace(program=70) for each in SONG.voices))

    with pytest.raises(JobFailed) as failed:
        brief(EVENTS, Usual(), asked(prompt=CONTENT, bars=8), other)

    assert failed.value.code == "instrument_unknown"


@pytest.mark.parametrize("params", [{"constraints": {}}, {"ranges": [[0, 9]]}, {"programs": [3]}])
def test_of_notes_rules_of_voices_are_refused_by_name(params: dict[str, Any]) -> None:
    with pytest.raises(JobFailed, match="train one of voices") as failed:
        brief(EVENTS, Usual(), asked(**params), None)

    assert failed.value.code == "invalid_params"
