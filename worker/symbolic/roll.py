"""A piece as a picture: a piano roll in rows of bars, a colour a voice, with marked passages."""

import io
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from worker.symbolic.pen import PAPER, Pen, fitting, mixed, wide
from worker.symbolic.piece import TICKS, Meter, Piece
from worker.symbolic.roll_layout import GAP, MARGIN, NAMES, NUMBERS, Layout, Row, plan

# Colours that people of any colour vision tell apart: after Paul Tol's schemes "bright" and "high contrast" (2021).
VOICES = ("#4477AA", "#EE6677", "#228833", "#CCAA22", "#AA3377", "#33AACC", "#DDAA33", "#004488")
MARKS = ("#E8B63A", "#9A6FC4", "#4FB59B", "#D97B56")
FAINT, WHITE_KEYS, BLACK_KEYS = "#6B6B6B", "#FBFBFC", "#EFF1F5"
OCTAVE, BEAT, BAR, FRAME = "#C3C8D2", "#E3E6EC", "#A9AFBC", "#8B92A1"
# Shares of white: in given notes, under marked passages, and in the band above these.
PALE, CLEAR, BAND = 0.72, 0.78, 0.35
BLACK = (1, 3, 6, 8, 10)
TITLE_PX, TEXT_PX, SMALL_PX = 20, 13, 11
TOP_PX, LINE_PX, SWATCH_PX, SPACE_PX, APART_PX = 14, 22, 14, 7, 22
# Numbers of bars closer than this run into one another, and lines of beats are one grey.
NUMBER_PX, BEAT_PX = 34, 9
EVERY = (1, 2, 5, 10, 20, 50, 100, 1000)


class Mark(NamedTuple):
    """A passage to point out, from tick `first` to before `last`: bars with relaxed rules, a copied passage."""

    first: int
    last: int
    label: str


@dataclass(frozen=True)
class Scene:
    """What is to be seen, and where it is."""

    piece: Piece
    layout: Layout
    marks: Sequence[Mark]
    given: AbstractSet[int]

    @property
    def above(self) -> int:
        """Pixels of a row over its roll."""
        return NUMBERS + (NAMES if self.marks else 0)

    def roll(self, row: Row) -> tuple[float, float, float, float]:
        """Left, top, right and bottom in the strip of a row."""
        left, right = self.layout.x(row, row.start), self.layout.x(row, row.end)
        return left, self.above, right, self.above + self.layout.roll_height

    def mark_colours(self) -> dict[str, str]:
        """By label, in the order in which they are told."""
        labels = dict.fromkeys(mark.label for mark in self.marks)
        return {label: MARKS[turn % len(MARKS)] for turn, label in enumerate(labels)}

    def names(self) -> list[str]:
        """What the voices are called below the title."""
        names = [voice.name or f"Voice {at + 1}" for at, voice in enumerate(self.piece.voices)]
        return [f"{name} (given)" if at in self.given else name for at, name in enumerate(names)]


def draw(piece: Piece, *, title: str, marks: Sequence[Mark] = (), given: AbstractSet[int] = frozenset()) -> bytes:
    """A PNG of at most 1,601 by some 5,000 pixels; voices in `given` are pale, marks have a colour for each label.

    What does not fit at the smallest scale, an hour of music, is cut off and said so.
    """
    scene = Scene(piece, plan(piece), marks, given)
    strips = [_header(scene, title), *(_row(scene, row) for row in scene.layout.rows)]
    picture = Image.new("RGB", (scene.layout.width, sum(strip.height for strip in strips) + MARGIN // 2), PAPER)
    top = 0
    for strip in strips:
        picture.paste(strip, (0, top))
        top += strip.height
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _colour(voice: int) -> str:
    return VOICES[voice % len(VOICES)]


def _header(scene: Scene, title: str) -> Image.Image:
    """The title, and below it who has which colour, in as many lines as that takes."""
    names, labels = scene.names(), scene.mark_colours()
    room = scene.layout.width - 2 * MARGIN
    named = room - SWATCH_PX - SPACE_PX
    said = [fitting(name, TEXT_PX, room=named) for name in (*names, *labels)]
    places = _flow([SWATCH_PX + SPACE_PX + wide(each, TEXT_PX) for each in said], room)
    top = TOP_PX + TITLE_PX + SPACE_PX
    pen = Pen(scene.layout.width, top + (max((line for _, line in places), default=0) + 1) * LINE_PX + SPACE_PX)
    pen.text((MARGIN, TOP_PX + TITLE_PX / 2), fitting(title, TITLE_PX, room=room), size=TITLE_PX)
    for at, (text, (left, line)) in enumerate(zip(said, places, strict=True)):
        x, y = MARGIN + left, top + (line + 0.5) * LINE_PX
        if at < len(names):
            _note(pen, (x, y - 5, x + SWATCH_PX, y + 5), colour=_colour(at), is_given=at in scene.given)
        else:
            _band(pen, (x, y - 8, x + SWATCH_PX, y + 8), list(labels.values())[at - len(names)])
        pen.text((x + SWATCH_PX + SPACE_PX, y), text, size=TEXT_PX)
    return pen.done()


def _flow(widths: Sequence[float], room: float) -> list[tuple[float, int]]:
    """Where each of these widths begins, and in which line."""
    places, left, line = [], 0.0, 0
    for width in widths:
        if left and left + width > room:
            left, line = 0.0, line + 1
        places.append((left, line))
        left += width + APART_PX
    return places


def _band(pen: Pen, corners: tuple[float, float, float, float], colour: str) -> None:
    left, top, right, bottom = corners
    pen.box((left, top, right, bottom), mixed(colour, CLEAR))
    pen.box((left, top, right, top + 4), mixed(colour, BAND))


def _note(pen: Pen, corners: Sequence[float], *, colour: str, is_given: bool) -> None:
    thick = corners[3] - corners[1]
    pen.box(corners, mixed(colour, PALE) if is_given else colour, outline=colour, radius=min(thick / 3, 3))


def _row(scene: Scene, row: Row) -> Image.Image:
    left, top, right, bottom = scene.roll(row)
    pen = Pen(scene.layout.width, int(bottom) + GAP)
    _keys(pen, scene, row)
    _marks(pen, scene, row)
    _beats(pen, scene, row)
    _bars(pen, scene, row)
    _notes(pen, scene, row)
    for x0, y0, x1, y1 in ((left, top, right, top), (left, bottom, right, bottom)):
        pen.line((x0, y0, x1, y1), FRAME)
    return pen.done()


def _keys(pen: Pen, scene: Scene, row: Row) -> None:
    """Black keys are grey, each octave has a line under its C and that note's name."""
    left, top, right, bottom = scene.roll(row)
    pen.box((left, top, right, bottom), WHITE_KEYS)
    for pitch in range(scene.layout.low, scene.layout.high + 1):
        above, below = top + scene.layout.y(pitch), top + scene.layout.y(pitch - 1)
        if pitch % 12 in BLACK:
            pen.box((left, above, right, below), BLACK_KEYS)
        if pitch % 12 == 0:
            pen.line((left, below, right, below), OCTAVE)
            name = f"C{pitch // 12 - 1}"
            pen.text((left - 8, (above + below) / 2), name, colour=FAINT, size=SMALL_PX, anchor="rm")


def _marks(pen: Pen, scene: Scene, row: Row) -> None:
    """A tint over the keys, and a band with the label where it has room."""
    colours, free = scene.mark_colours(), 0.0
    _, top, _, bottom = scene.roll(row)
    for mark in sorted(scene.marks):
        if mark.last <= row.start or mark.first >= row.end:
            continue
        left, right = (scene.layout.x(row, min(max(at, row.start), row.end)) for at in (mark.first, mark.last))
        pen.tint((left, top, right, bottom), colours[mark.label], 1 - CLEAR)
        pen.box((left, top - NAMES, right, top), mixed(colours[mark.label], BAND))
        text_at = max(left, free) + SPACE_PX / 2
        if text_at + wide(mark.label, SMALL_PX) + SPACE_PX / 2 <= right:
            pen.text((text_at, top - NAMES / 2), mark.label, size=SMALL_PX)
        free = max(free, right)


def _beats(pen: Pen, scene: Scene, row: Row) -> None:
    """A thin line for each beat but the first of a bar, where they are far enough apart."""
    _, top, _, bottom = scene.roll(row)
    bars, meters = scene.layout.bars, scene.piece.meters or (Meter(0, 4, 4),)
    begun = np.searchsorted([meter.tick for meter in meters], bars.starts, side="right") - 1
    for bar in range(row.first, row.last):
        start, length = int(bars.starts[bar]), int(bars.lengths[bar])
        beat = 4 * TICKS // meters[max(int(begun[bar]), 0)].unit
        if beat / TICKS * scene.layout.quarter_px < BEAT_PX:
            continue
        # From the end of the bar, which is right for a pickup, too.
        for at in range(start + (length % beat or beat), start + length, beat):
            pen.line((scene.layout.x(row, at), top, scene.layout.x(row, at), bottom), BEAT)


def _bars(pen: Pen, scene: Scene, row: Row) -> None:
    """A line for each bar, with as many numbers as have room; how many bars are not shown stands after the last."""
    _, top, right, bottom = scene.roll(row)
    bars = scene.layout.bars
    narrowest = float(bars.lengths.min()) / TICKS * scene.layout.quarter_px
    every = next((each for each in EVERY if each * narrowest >= NUMBER_PX), EVERY[-1])
    for bar in range(row.first, row.last):
        x, number = scene.layout.x(row, int(bars.starts[bar])), bar + int(not scene.piece.pickup)
        pen.line((x, top, x, bottom), BAR)
        if number and (number % every == 0 or bar == row.first):
            pen.text((x + 1, NUMBERS / 2), str(number), colour=FAINT, size=SMALL_PX)
    pen.line((right, top, right, bottom), BAR)
    if scene.layout.cut and row is scene.layout.rows[-1]:
        said = f"… and {scene.layout.cut} more bars"
        pen.box((right - wide(said, SMALL_PX) - SPACE_PX, 0, right, NUMBERS), PAPER)
        pen.text((right, NUMBERS / 2), said, colour=FAINT, size=SMALL_PX, anchor="rm")


def _notes(pen: Pen, scene: Scene, row: Row) -> None:
    """Given voices first, so that what was made lies over them; among either the lowest voice first."""
    notes, layout = scene.piece.notes, scene.layout
    here = notes[(notes["onset"] < row.end) & (notes["onset"] + notes["duration"] > row.start)]
    is_given = np.isin(here["voice"], sorted(scene.given))
    for onset, duration, pitch, _, voice in here[np.lexsort((-here["voice"].astype(int), ~is_given))].tolist():
        left, right = layout.x(row, max(onset, row.start)), layout.x(row, min(onset + duration, row.end))
        top = scene.above + layout.y(pitch)
        # Half a pixel all around, and one behind, tell a note from the next of its pitch.
        corners = (left + 0.5, top + 0.5, max(right - 1, left + 1.5), top + layout.semitone_px - 0.5)
        _note(pen, corners, colour=_colour(voice), is_given=voice in scene.given)
