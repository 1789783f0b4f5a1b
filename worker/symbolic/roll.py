"""A piece as a picture: a piano roll in rows of bars, a colour a voice, with marked passages."""

import io
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worker.symbolic.piece import TICKS, Bars, Meter, Piece
from worker.symbolic.roll_layout import GAP, MARGIN, NAMES, NUMBERS, Layout, Row, plan

# Drawn twice as large and then made smaller: edges are smooth so.
FINER = 2
# Colours that people of any colour vision tell apart: "bright" and "high contrast" of Paul Tol's schemes (2021).
VOICES = ("#4477AA", "#EE6677", "#228833", "#CCAA22", "#AA3377", "#33AACC", "#DDAA33", "#004488")
MARKS = ("#E8B63A", "#9A6FC4", "#4FB59B", "#D97B56")
PAPER, INK, FAINT = "#FFFFFF", "#222222", "#6B6B6B"
WHITE_KEYS, BLACK_KEYS, OCTAVE, BEAT, BAR, FRAME = "#FBFBFC", "#EFF1F5", "#C3C8D2", "#E3E6EC", "#A9AFBC", "#8B92A1"
BLACK = (1, 3, 6, 8, 10)
TITLE_PX, TEXT_PX, SMALL_PX = 20, 13, 11
LEGEND_PX, SWATCH_PX = 22, 14
# Bar numbers closer than this run into one another; and what beats closer than this show is grey.
APART_PX, BEAT_PX = 34, 9
PALE, CLEAR = 0.72, 0.78


class Mark(NamedTuple):
    """A passage to point out, from tick `first` to before `last`: bars with relaxed rules, a copied passage."""

    first: int
    last: int
    label: str


def draw(piece: Piece, *, title: str, marks: Sequence[Mark] = (), given: AbstractSet[int] = frozenset()) -> bytes:
    """A PNG of at most 1,601 by some 5,000 pixels; voices in `given` are pale, marks have a colour for each label.

    What does not fit at the smallest scale, an hour of music, is cut off and said so.
    """
    layout = plan(piece)
    strips = [_header(piece, title, layout, [mark.label for mark in marks], given)]
    strips += [_row(piece, layout, row, marks, given) for row in layout.rows]
    picture = Image.new("RGB", (layout.width, sum(strip.height for strip in strips) + MARGIN // 2), PAPER)
    top = 0
    for strip in strips:
        picture.paste(strip, (0, top))
        top += strip.height
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


class Pen:
    """Draws on a strip in pixels of the picture, whatever the strip really has."""

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (width * FINER, height * FINER), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def box(self, corners: Sequence[float], fill: str, *, outline: str | None = None, radius: float = 0) -> None:
        left, top, right, bottom = (round(at * FINER) for at in corners)
        # Pillow counts the last pixel in.
        place = (left, top, max(right - 1, left), max(bottom - 1, top))
        rounded = min(round(radius * FINER), (place[2] - left) // 2, (place[3] - top) // 2)
        self._draw.rounded_rectangle(place, rounded, fill, outline, FINER if outline else 0)

    def line(self, ends: Sequence[float], colour: str, width: float = 1) -> None:
        self._draw.line([round(at * FINER) for at in ends], colour, max(round(width * FINER), 1))

    def tint(self, corners: Sequence[float], colour: str, share: float) -> None:
        """So much of a colour over what is drawn already."""
        left, top, right, bottom = (round(at * FINER) for at in corners)
        below = self._image.crop((left, top, right, bottom))
        self._image.paste(Image.blend(below, Image.new("RGB", below.size, colour), share), (left, top))

    def text(self, at: tuple[float, float], said: str, colour: str, size: int, anchor: str = "lm") -> None:
        self._draw.text((at[0] * FINER, at[1] * FINER), said, colour, _font(size * FINER), anchor)

    def done(self) -> Image.Image:
        size = (self._image.width // FINER, self._image.height // FINER)
        return self._image.resize(size, Image.Resampling.LANCZOS)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _wide(said: str, size: int) -> float:
    return _font(size).getlength(said)


def _fitting(said: str, size: int, room: float) -> str:
    if _wide(said, size) <= room:
        return said
    while said and _wide(said + "…", size) > room:
        said = said[:-1]
    return said.rstrip() + "…"


def _colour(voice: int) -> str:
    return VOICES[voice % len(VOICES)]


def _mixed(colour: str, share: float) -> str:
    """So much of white in a colour."""
    parts = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(part + (255 - part) * share):02X}" for part in parts)


def _mark_colours(labels: Sequence[str]) -> dict[str, str]:
    return {label: MARKS[turn % len(MARKS)] for turn, label in enumerate(dict.fromkeys(labels))}


def _header(piece: Piece, title: str, layout: Layout, labels: Sequence[str], given: AbstractSet[int]) -> Image.Image:
    """The title, and below it who has which colour."""
    room = layout.width - 2 * MARGIN
    entries: list[tuple[str, str, bool | None]] = [
        (name, _colour(voice), voice in given) for voice, name in enumerate(_names(piece, given))
    ]
    entries += [(label, colour, None) for label, colour in _mark_colours(labels).items()]
    places, left, line = [], 0.0, 0
    for name, _, _ in entries:
        wide = SWATCH_PX + 7 + min(_wide(name, TEXT_PX), room - SWATCH_PX - 7)
        if left and left + wide > room:
            left, line = 0.0, line + 1
        places.append((MARGIN + left, line))
        left += wide + 22
    top = 14 + TITLE_PX + 12
    pen = Pen(layout.width, top + (line + 1) * LEGEND_PX + 6)
    pen.text((MARGIN, 14 + TITLE_PX / 2), _fitting(title, TITLE_PX, room), INK, TITLE_PX)
    for (name, colour, is_given), (x, at) in zip(entries, places, strict=True):
        y = top + at * LEGEND_PX + LEGEND_PX / 2
        _swatch(pen, (x, y), colour, is_given)
        pen.text((x + SWATCH_PX + 7, y), _fitting(name, TEXT_PX, room - SWATCH_PX - 7), INK, TEXT_PX)
    return pen.done()


def _names(piece: Piece, given: AbstractSet[int]) -> list[str]:
    names = [voice.name or f"Voice {at + 1}" for at, voice in enumerate(piece.voices)]
    return [f"{name} (given)" if at in given else name for at, name in enumerate(names)]


def _swatch(pen: Pen, at: tuple[float, float], colour: str, is_given: bool | None) -> None:
    """Of a voice as its notes are; of a mark, where `is_given` is None, as high as a line of text."""
    x, y = at
    if is_given is None:
        pen.box((x, y - 8, x + SWATCH_PX, y + 8), _mixed(colour, CLEAR))
        pen.box((x, y - 8, x + SWATCH_PX, y - 5), colour)
        return
    _note(pen, (x, y - 5, x + SWATCH_PX, y + 5), colour, is_given)


def _note(pen: Pen, corners: Sequence[float], colour: str, is_given: bool) -> None:
    thick = corners[3] - corners[1]
    pen.box(corners, _mixed(colour, PALE) if is_given else colour, outline=colour, radius=min(thick / 3, 3))


def _row(piece: Piece, layout: Layout, row: Row, marks: Sequence[Mark], given: AbstractSet[int]) -> Image.Image:
    above = NUMBERS + (NAMES if marks else 0)
    pen = Pen(layout.width, above + layout.roll_height + GAP)
    roll = (layout.x(row, row.start), above, layout.x(row, row.end), above + layout.roll_height)
    _keys(pen, layout, roll)
    _marks(pen, layout, row, roll, marks)
    _times(pen, piece, layout, row, roll)
    _notes(pen, piece, layout, row, above, given)
    pen.line((roll[0], roll[1], roll[2], roll[1]), FRAME)
    pen.line((roll[0], roll[3], roll[2], roll[3]), FRAME)
    if layout.cut and row is layout.rows[-1]:
        said = f"… and {layout.cut} more bars"
        pen.text((roll[2], NUMBERS / 2), said, FAINT, SMALL_PX, "rm")
    return pen.done()


def _keys(pen: Pen, layout: Layout, roll: Sequence[float]) -> None:
    """Black keys are grey, each octave has a line under its C and that note's name."""
    left, top, right, bottom = roll
    pen.box((left, top, right, bottom), WHITE_KEYS)
    for pitch in range(layout.low, layout.high + 1):
        y = top + layout.y(pitch)
        if pitch % 12 in BLACK:
            pen.box((left, y, right, y + layout.semitone_px), BLACK_KEYS)
        if pitch % 12 == 0:
            pen.line((left, y + layout.semitone_px, right, y + layout.semitone_px), OCTAVE)
            pen.text((left - 8, y + layout.semitone_px / 2), f"C{pitch // 12 - 1}", FAINT, SMALL_PX, "rm")


def _marks(pen: Pen, layout: Layout, row: Row, roll: Sequence[float], marks: Sequence[Mark]) -> None:
    colours, free = _mark_colours([mark.label for mark in marks]), 0.0
    for mark in sorted(marks):
        if mark.last <= row.start or mark.first >= row.end:
            continue
        left, right = (layout.x(row, min(max(at, row.start), row.end)) for at in (mark.first, mark.last))
        pen.tint((left, roll[1], right, roll[3]), colours[mark.label], 1 - CLEAR)
        pen.box((left, roll[1] - NAMES, right, roll[1]), _mixed(colours[mark.label], 0.35))
        room = right - max(left, free) - 8
        if _wide(mark.label, SMALL_PX) <= room:
            pen.text((max(left, free) + 4, roll[1] - NAMES / 2), mark.label, INK, SMALL_PX)
        free = max(free, right)


def _times(pen: Pen, piece: Piece, layout: Layout, row: Row, roll: Sequence[float]) -> None:
    """Bar lines with their numbers, as many as have room, and thin lines for beats."""
    bars, meters = Bars(piece), piece.meters or (Meter(0, 4, 4),)
    narrowest = float(bars.lengths.min()) / TICKS * layout.quarter_px
    every = next(
        each for each in (1, 2, 5, 10, 20, 50, 100, 1000, 10_000) if each * narrowest >= APART_PX or each == 10_000
    )
    for bar in range(row.first, row.last):
        start, length = int(bars.starts[bar]), int(bars.lengths[bar])
        unit = 4 * TICKS // [meter for meter in meters if meter.tick <= start or meter is meters[0]][-1].unit
        if unit / TICKS * layout.quarter_px >= BEAT_PX:
            # From the end of the bar, which is right for a pickup, too.
            for beat in range(start + (length % unit or unit), start + length, unit):
                pen.line((layout.x(row, beat), roll[1], layout.x(row, beat), roll[3]), BEAT)
        x = layout.x(row, start)
        pen.line((x, roll[1], x, roll[3]), BAR)
        number = bar + int(not piece.pickup)
        if number and (number % every == 0 or bar == row.first or every == 1):
            pen.text((x + 1, NUMBERS / 2), str(number), FAINT, SMALL_PX)
    pen.line((roll[2], roll[1], roll[2], roll[3]), BAR)


def _notes(pen: Pen, piece: Piece, layout: Layout, row: Row, above: float, given: AbstractSet[int]) -> None:
    """Given voices first, so that what was made lies over them; within a sort the lowest voice first."""
    notes = piece.notes
    here = notes[(notes["onset"] < row.end) & (notes["onset"] + notes["duration"] > row.start)]
    is_given = np.isin(here["voice"], sorted(given))
    for onset, duration, pitch, _, voice in here[np.lexsort((-here["voice"].astype(int), ~is_given))].tolist():
        left, right = layout.x(row, max(onset, row.start)), layout.x(row, min(onset + duration, row.end))
        top = above + layout.y(pitch)
        # A gap tells two notes of one pitch apart.
        corners = (left + 0.5, top + 0.5, max(right - 1, left + 1.5), top + layout.semitone_px - 0.5)
        _note(pen, corners, _colour(voice), voice in given)
