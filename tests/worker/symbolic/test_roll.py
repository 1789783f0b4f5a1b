"""Piano rolls: where things are drawn, in which colours, and that no piece makes a picture too large."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.worker.symbolic import made
from worker.symbolic import roll, roll_layout
from worker.symbolic.piece import NOTE, TICKS, Meter, Piece, Voice
from worker.symbolic.roll import Mark

MOST_PIXELS = 1601 * 5500
PALE = 200


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def drawn(piece: Piece, *, marks: tuple[Mark, ...] = (), given: frozenset[int] = frozenset()) -> Image.Image:
    return opened(roll.draw(piece, title="Made", marks=marks, given=given))


def colours(image: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.asarray(image).reshape(-1, 3).tolist()}


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def in_the_middle_of(piece: Piece, note: int, image: Image.Image) -> tuple[int, ...]:
    """The colour of a note of a piece of one row, whose roll ends above the gap and the margin at the bottom."""
    layout = roll_layout.plan(piece)
    (row,) = layout.rows
    onset, length, pitch = (int(piece.notes[name][note]) for name in ("onset", "duration", "pitch"))
    top = image.height - roll.MARGIN // 2 - roll_layout.GAP - layout.roll_height
    x, y = layout.x(row, onset + length / 2), top + layout.y(pitch) + layout.semitone_px / 2
    return tuple(image.getpixel((int(x), int(y))))  # type: ignore[arg-type]


def long_song(quarters: int) -> Piece:
    rows = np.zeros(quarters, NOTE)
    rows["onset"], rows["duration"] = np.arange(quarters) * TICKS, TICKS
    rows["pitch"], rows["velocity"] = 48 + np.arange(quarters) * 7 % 40, 80
    return Piece("Long", rows, (Voice("Melody"),))


def test_each_note_has_the_colour_of_its_voice_where_it_sounds() -> None:
    piece = made.piece([(at, 1, 76 - 8 * at, at) for at in range(4)])

    image = drawn(piece)

    for note in range(4):
        assert in_the_middle_of(piece, note, image) == rgb(roll.VOICES[note])


def test_given_voices_are_pale_with_an_outline() -> None:
    piece = made.piece([(0, 2, 72, 0), (0, 2, 60, 1)])

    image = drawn(piece, given=frozenset({0}))

    assert min(in_the_middle_of(piece, 0, image)) >= PALE
    assert in_the_middle_of(piece, 1, image) == rgb(roll.VOICES[1])


def test_where_nothing_sounds_is_paper_or_a_key() -> None:
    piece = made.piece([(0, 1, 60, 0), (3, 1, 72, 0)])
    silent = replace(piece, notes=piece.notes.copy())
    silent.notes["onset"][0] = TICKS

    image = drawn(piece)

    assert in_the_middle_of(silent, 0, image) == rgb(roll.WHITE_KEYS)


def test_marked_passages_have_a_colour_for_each_label() -> None:
    piece = made.song(beats=16)
    marks = (
        Mark(0, 4 * TICKS, "copied"),
        Mark(8 * TICKS, 9 * TICKS, "relaxed"),
        Mark(12 * TICKS, 16 * TICKS, "copied"),
    )

    plain, marked = drawn(piece), drawn(piece, marks=marks)

    bands = [tuple(round(part + (255 - part) * roll.BAND) for part in rgb(colour)) for colour in roll.MARKS]
    new = colours(marked) - colours(plain)
    assert [band in new for band in bands] == [True, True, False, False]
    assert marked.height == plain.height + roll_layout.NAMES


def test_a_mark_beyond_the_piece_does_no_harm() -> None:
    piece = made.song(beats=4)

    assert drawn(piece, marks=(Mark(0, 900 * TICKS, "long"), Mark(800 * TICKS, 900 * TICKS, "after"))).width > 0


@pytest.mark.parametrize("quarters", [1, 16, 64, 300, 2_000, 7_000, 40_000])
def test_the_picture_is_bounded_however_long_the_piece(quarters: int) -> None:
    image = drawn(long_song(quarters))

    assert image.width <= roll_layout.WIDTH + 1 and image.width * image.height <= MOST_PIXELS


def test_all_pitches_and_many_voices_have_room() -> None:
    voices = [Voice(f"A rather long name of a part, number {at}") for at in range(40)]
    piece = made.piece([(at, 1, at * 3, at) for at in range(40)], voices)

    image = drawn(piece)

    assert image.width * image.height <= MOST_PIXELS


def test_a_longer_piece_is_wider_and_then_has_more_rows() -> None:
    layouts = [roll_layout.plan(long_song(quarters)) for quarters in (12, 24, 100, 1000)]

    assert layouts[0].width < layouts[1].width <= layouts[2].width
    assert [len(layout.rows) for layout in layouts[:2]] == [1, 1] and len(layouts[3].rows) > len(layouts[2].rows) > 1


def test_rows_hold_whole_bars_and_every_bar() -> None:
    layout = roll_layout.plan(long_song(1000))

    assert [row.first for row in layout.rows] == [0, *(row.last for row in layout.rows[:-1])]
    assert layout.rows[-1].last == 250 and layout.cut == 0
    assert all(row.start % (4 * TICKS) == 0 for row in layout.rows)


def test_what_is_cut_off_is_counted() -> None:
    layout = roll_layout.plan(long_song(40_000))

    assert layout.cut == 10_000 - layout.rows[-1].last > 0


@pytest.mark.parametrize(
    "piece",
    [
        made.piece([]),
        made.changing(),
        made.piece([(0, 1, 0, 0), (0, 1, 127, 0)]),
        made.song(meters=(Meter(0, 7, 16),)),
        made.song(meters=(Meter(0, 64, 1),)),
        made.piece([(0, 0.001, 60, 0)], pickup=1),
        made.piece([(0, 1, 60, 0)], [Voice("")]),
    ],
    ids=["empty", "changing", "all keys", "7/16", "one long bar", "a hair", "no name"],
)
def test_any_piece_can_be_drawn(piece: Piece) -> None:
    image = opened(roll.draw(piece, title="", marks=[Mark(0, TICKS, "")], given={0}))

    assert image.width * image.height <= MOST_PIXELS


def test_a_title_that_is_too_long_is_cut() -> None:
    piece = made.song(beats=4)

    assert opened(roll.draw(piece, title="Very long " * 100)).size == opened(roll.draw(piece, title="")).size


def test_the_same_piece_has_the_same_picture() -> None:
    one, other = (roll.draw(made.changing(), title="Same", marks=[Mark(0, TICKS, "here")]) for _ in range(2))

    assert one == other
