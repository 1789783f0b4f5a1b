"""Pieces as JSON: what is said is the piece, to the tick."""

import json

import numpy as np
import pytest

from tests.worker.symbolic import made
from worker.symbolic import as_json
from worker.symbolic.piece import TICKS, Piece


@pytest.mark.parametrize(
    "piece",
    [made.song(), made.song(parts=(1 / 3, 1 / 7)), made.changing(), made.piece([])],
    ids=["song", "triplets and septuplets", "changing", "empty"],
)
def test_what_is_said_is_the_piece_to_the_tick(piece: Piece) -> None:
    told = json.loads(json.dumps(as_json.describe(piece), allow_nan=False))

    notes = np.array(told["notes"]).reshape(-1, 5)
    ticks = np.round(notes[:, :2] * TICKS).astype(np.int64)
    assert ticks[:, 0].tolist() == piece.notes["onset"].tolist()
    assert ticks[:, 1].tolist() == piece.notes["duration"].tolist()
    assert notes[:, 2:].tolist() == [[each["pitch"], each["velocity"], each["voice"]] for each in piece.notes]
    assert [tuple(each.values()) for each in told["voices"]] == [tuple(each) for each in piece.voices]
    assert [round(each["at"] * TICKS) for each in told["tempi"]] == [each.tick for each in piece.tempi]
    assert [(each["beats"], each["unit"]) for each in told["meters"]] == [each[1:] for each in piece.meters]
    assert [(each["sharps"], each["mode"]) for each in told["keys"]] == [each[1:] for each in piece.keys]
    assert (told["name"], round(told["pickup"] * TICKS)) == (piece.name, piece.pickup)


def test_a_note_is_told_in_quarters() -> None:
    told = as_json.describe(made.piece([(1.5, 0.25, 62, 1)]))

    assert told["notes"] == [[1.5, 0.25, 62, 80, 1]]


@pytest.mark.parametrize(("piece", "bars"), [(made.melody([60] * 9), 3), (made.changing(), 7), (made.piece([]), 0)])
def test_bars_are_counted_with_the_pickup(piece: Piece, bars: int) -> None:
    assert as_json.describe(piece)["bars"] == bars
