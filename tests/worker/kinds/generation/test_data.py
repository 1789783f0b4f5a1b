"""Which form pieces are learned in, which of them are held out, and in which keys they are met."""

from pathlib import Path

import numpy as np
import pytest

from shared.errors import JobFailed
from shared.kinds.generation import TrainParams
from tests.worker import chorales, scores
from worker.composition.event_coding import EventCoding
from worker.composition.voice_coding import VoiceCoding
from worker.kinds.generation import data
from worker.kinds.generation.data import Prepared
from worker.symbolic.piece import NOTE, TICKS, Piece, Voice


def duet(seed: int) -> Piece:
    song = chorales.chorale(seed)
    return Piece(str(seed), song.notes[song.notes["voice"] < 2], song.voices[:2], song.tempi, song.meters)


def chords(seed: int) -> Piece:
    """A piano that strikes three notes at a time."""
    random = np.random.default_rng(seed)
    rows = [(beat * TICKS, TICKS, int(pitch), 80, 0) for beat in range(8) for pitch in random.choice(40, 3, False) + 40]
    return Piece(str(seed), np.array(rows, NOTE), (Voice("Piano"),)).sorted()


def prepare(folder: Path, pieces: dict[str, Piece], **params: object) -> Prepared:
    return data.prepare(data.load(scores.write(folder, pieces)), TrainParams.model_validate(params))


def test_pieces_of_as_many_voices_are_learned_as_voices_and_the_others_left_out(tmp_path: Path) -> None:
    pieces = {f"{seed}": chorales.chorale(seed) for seed in range(8)} | {"piano": chords(1), "duet": duet(9)}
    pieces["piano"] = Piece("piano", np.repeat(chords(1).notes, 2), (Voice("Piano"),))
    pieces["piano"].notes["pitch"][::2] += 20

    prepared = prepare(tmp_path, pieces)

    assert isinstance(prepared.coding, VoiceCoding)
    assert (prepared.coding.voices, prepared.coding.resolution) == (4, 4)
    (caution,) = prepared.cautions
    assert caution.code == "pieces_left_out"
    assert caution.detail == "Pieces that are not of 4 voices, or too long: 2."
    names = {item.name for item in (*prepared.train, *prepared.validation)}
    assert names == {f"{seed}" for seed in range(8)}


def test_pieces_of_all_sorts_are_learned_as_notes(tmp_path: Path) -> None:
    pieces = {"a": chords(1), "b": chords(2), "c": duet(3), "d": chorales.chorale(4), "e": chords(5)}

    prepared = prepare(tmp_path, pieces)

    assert isinstance(prepared.coding, EventCoding)
    assert set(prepared.coding.instruments) == {0, 52}
    assert len(prepared.train) + len(prepared.validation) == 5


def test_chords_are_spread_over_voices_where_that_is_asked_for(tmp_path: Path) -> None:
    pieces = {f"{seed}": chords(seed) for seed in range(4)}

    prepared = prepare(tmp_path, pieces, representation={"form": "voices", "voices": 3})

    grid = prepared.train[0].work
    assert isinstance(prepared.coding, VoiceCoding)
    heard = sorted(set(grid.pitches[0].tolist()))  # type: ignore[union-attr]
    first = prepared.train[0].piece.notes
    assert heard == sorted(first[first["onset"] == 0]["pitch"].tolist())


def test_without_any_voices_they_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="choose events") as failed:
        prepare(tmp_path, {"a": chords(1), "b": chords(2)}, representation={"form": "voices"})

    assert failed.value.code == "invalid_params"


def test_triplets_make_a_finer_grid(tmp_path: Path) -> None:
    third = TICKS // 3
    rows = [(at * third, third, 60 + at % 5, 80, 0) for at in range(48)]
    pieces = {f"{n}": Piece(f"{n}", np.array(rows[n:], NOTE), (Voice("Flute"),)) for n in range(4)}

    prepared = prepare(tmp_path, pieces)

    assert prepared.coding.resolution == 12


def test_every_epoch_meets_the_pieces_in_an_order_and_keys_of_its_own_and_always_the_same(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, {f"{seed}": chorales.chorale(seed) for seed in range(8)}, seed=3)

    first, second = prepared.epoch(0), prepared.epoch(1)

    assert all(np.array_equal(one.tokens, other.tokens) for one, other in zip(first, prepared.epoch(0), strict=True))
    assert any(not np.array_equal(one.tokens, other.tokens) for one, other in zip(first, second, strict=True))
    tops = {int(steps.tokens.max()) for number in range(40) for steps in prepared.epoch(number)}
    assert max(tops) < prepared.coding.tokens[0]
    assert len(tops) > 5


def test_key_and_end_are_told_about_half_of_the_time(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, {f"{seed}": chorales.chorale(seed) for seed in range(8)})

    met = [steps.context[0] for number in range(40) for steps in prepared.epoch(number)]

    told = [(context[-32:-8].any(), context[-8:].any()) for context in met]
    for part in np.mean(told, axis=0):
        assert 0.35 < part < 0.65


def test_a_piece_without_transposition_is_met_as_it_is(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, {f"{seed}": chorales.chorale(seed) for seed in range(8)}, transpose=0)

    plain = {steps.tokens.tobytes() for steps in data.steps_of(prepared.coding, prepared.train, is_told=False)}

    assert {steps.tokens.tobytes() for steps in prepared.epoch(5)} == plain


def test_too_little_music_is_refused(tmp_path: Path) -> None:
    one = Piece("a", np.array([(0, TICKS, 60, 80, 0)], NOTE), (Voice("Flute"),))

    with pytest.raises(JobFailed) as failed:
        prepare(tmp_path, {"a": one})

    assert failed.value.code == "too_few_pieces"
