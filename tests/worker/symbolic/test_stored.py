"""Pieces are stored as two tables and come back as they were; alike ones are found."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.symbolic import alike, stored
from worker.symbolic.alike import Likeness
from worker.symbolic.flaws import Flaw
from worker.symbolic.piece import NOTE, TICKS, Key, Meter, Piece, Tempo, Voice
from worker.symbolic.stored import Row

VOICES = (Voice("Höhe", 40), Voice("Bass", 32), Voice("Kit", 0, is_drum=True))


def piece(*notes: tuple[int, int, int, int], voices: tuple[Voice, ...] = VOICES, **others: object) -> Piece:
    """Of notes: onset and duration in quarters, pitch, voice."""
    rows = [(onset * TICKS, length * TICKS, pitch, 80, voice) for onset, length, pitch, voice in notes]
    return Piece("k", np.array(rows, NOTE), voices, **others).sorted()  # type: ignore[arg-type]


def row(made: Piece | None, key: str = "k", fault: Flaw | None = None) -> Row:
    return Row(key, key, None, made, fault, Likeness())


def test_pieces_come_back_as_they_were(tmp_path: Path) -> None:
    whole = piece(
        (0, 1, 60, 0), (0, 2, 40, 1), (1, 1, 36, 2),
        tempi=(Tempo(0, 93.75),), meters=(Meter(0, 3, 4), Meter(3 * TICKS, 6, 8)), keys=(Key(0, -3, "minor"),),
        pickup=TICKS,
    )  # fmt: skip
    rows = [
        Row("a.mid", "a.mid", "train", whole, None, Likeness()),
        row(None, "b.mid", Flaw("midi_corrupt", "no")),
        row(piece(), "c.mid"),
        Row("z.zip/d.mid", "z.zip", "test", whole, None, Likeness(0, 0, 3)),
    ]

    paths = list(stored.write(tmp_path, rows))
    loaded = stored.load(paths)

    assert [path.name for path in paths] == ["pieces.parquet", "notes.parquet"]
    assert [(each.row, each.key, each.part, each.same_as, each.transposed_of) for each in loaded] == [
        (0, "a.mid", "train", None, None), (1, "b.mid", None, None, None), (2, "c.mid", None, None, None),
        (3, "z.zip/d.mid", "test", 0, 0),
    ]  # fmt: skip
    assert [each.piece is None for each in loaded] == [False, True, True, False]
    for each in (loaded[0], loaded[3]):
        assert each.piece is not None
        assert np.array_equal(each.piece.notes, whole.notes)
        assert (each.piece.voices, each.piece.tempi, each.piece.meters) == (whole.voices, whole.tempi, whole.meters)
        assert (each.piece.keys, each.piece.pickup) == (whole.keys, whole.pickup)


def test_the_table_says_what_there_is_and_why_not(tmp_path: Path) -> None:
    made = piece((0, 1, 60, 0), (1, 5, 40, 1), (2, 1, 36, 2), tempi=(Tempo(0, 60.0),))
    pieces, _ = stored.write(tmp_path, [row(made), row(None, "b", Flaw("xml_corrupt", "the XML cannot be read"))])

    first, second = pq.read_table(pieces).to_pylist()

    assert (first["voices"], first["notes"], first["bars"], first["duration_s"]) == (2, 3, 2, 6.0)
    assert (second["notes"], second["fault"], second["reason"]) == (0, "xml_corrupt", "the XML cannot be read")


def test_the_same_notes_are_found_whatever_voice_has_them() -> None:
    one = piece((0, 1, 60, 0), (0, 1, 64, 1), (1, 1, 62, 0))
    swapped = piece((0, 1, 60, 1), (0, 1, 64, 0), (1, 1, 62, 0), tempi=(Tempo(0, 77.0),))
    other = piece((0, 1, 60, 0), (0, 1, 64, 1), (1, 2, 62, 0))

    assert alike.find([one, None, swapped, other, piece(), piece()]) == [
        Likeness(), Likeness(), Likeness(same_as=0), Likeness(), Likeness(), Likeness()
    ]  # fmt: skip


def test_the_same_music_is_found_at_another_pitch_with_its_drums_where_they_are() -> None:
    one = piece((0, 1, 60, 0), (0, 1, 36, 2), (1, 1, 62, 0))
    higher = piece((0, 1, 65, 0), (0, 1, 36, 2), (1, 1, 67, 0))
    other_drum = piece((0, 1, 65, 0), (0, 1, 38, 2), (1, 1, 67, 0))
    lower = piece((0, 1, 58, 0), (0, 1, 36, 2), (1, 1, 60, 0))

    assert alike.find([one, higher, other_drum, lower, higher]) == [
        Likeness(), Likeness(None, 0, 5), Likeness(), Likeness(None, 0, -2), Likeness(1, 0, 5)
    ]  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 8), st.integers(20, 100), st.integers(0, 1)), min_size=1),
    st.integers(-12, 12),
)
def test_every_transposition_is_found(notes: list[tuple[int, int, int, int]], steps: int) -> None:
    moved = [(onset, length, pitch + steps, voice) for onset, length, pitch, voice in notes]

    _, found = alike.find([piece(*notes), piece(*moved)])

    assert found == (Likeness(None, 0, steps) if steps else Likeness(0))
