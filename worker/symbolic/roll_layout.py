"""Where everything of a piano roll is: bars in rows, quarters across and semitones down, in pixels of the picture."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from worker.symbolic.piece import HIGHEST, LOWEST, TICKS, Bars, Piece

WIDTH, MARGIN, GUTTER, GAP = 1600, 20, 38, 14
# Over the notes of each row: the numbers of bars, and under them the names of marked passages.
NUMBERS, NAMES = 18, 16
# Pixels of a quarter, and in how many rows they may come out: the first that holds the piece. What even the last
# cannot hold, 6,000 quarters or an hour, is cut off.
SCALES = ((56.0, 2), (40.0, 3), (30.0, 5), (22.0, 8), (14.0, 10), (8.0, 12), (4.0, 16))
# Rows as high as a picture looks at ease with; fewer pixels a semitone than 3 cannot be told apart.
FEW_ROWS, TALL, LOW = 3, 300, 190
THINNEST, THICKEST = 3, 9
# Around the notes, and so that one held note is not a bar of colour.
ROOM, LEAST_SEMITONES = 2, 16


class Row(NamedTuple):
    """Bars `first` to before `last`, from tick `start` to `end`."""

    first: int
    last: int
    start: int
    end: int


@dataclass(frozen=True)
class Layout:
    """`low` to `high` are the pitches shown; `cut` is the number of bars that found no place."""

    bars: Bars
    rows: tuple[Row, ...]
    cut: int
    low: int
    high: int
    quarter_px: float
    semitone_px: int

    @property
    def width(self) -> int:
        """Of the whole picture: as wide as its longest row, and never too narrow for a title."""
        longest = max(row.end - row.start for row in self.rows) / TICKS * self.quarter_px
        return min(max(int(longest) + 1 + GUTTER + 2 * MARGIN, WIDTH // 3), WIDTH + 1)

    @property
    def roll_height(self) -> int:
        return (self.high - self.low + 1) * self.semitone_px

    def x(self, row: Row, tick: float) -> float:
        """Where a tick is in its row."""
        return MARGIN + GUTTER + (tick - row.start) / TICKS * self.quarter_px

    def y(self, pitch: float) -> float:
        """Where the upper edge of a pitch is, from the top of the roll."""
        return (self.high - pitch) * self.semitone_px


def plan(piece: Piece) -> Layout:
    """The largest scale that holds the piece in few enough rows of whole bars."""
    bars = Bars(piece)
    for quarter_px, most in SCALES:
        rows = _rows(bars, (WIDTH - GUTTER - 2 * MARGIN) / quarter_px * TICKS)
        if len(rows) <= most:
            break
    shown = rows[:most]
    low, high = _range(piece)
    tall = TALL if len(shown) <= FEW_ROWS else LOW
    semitone_px = min(max(tall // (high - low + 1), THINNEST), THICKEST)
    return Layout(bars, tuple(shown), len(bars) - shown[-1].last, low, high, quarter_px, semitone_px)


def _rows(bars: Bars, room: float) -> list[Row]:
    """As many whole bars a row as there is room for, in ticks; and at least one."""
    ends = bars.starts + bars.lengths
    rows, first = [], 0
    while first < len(bars):
        start = int(bars.starts[first])
        last = max(int(np.searchsorted(ends, start + room, side="right")), first + 1)
        rows.append(Row(first, last, start, int(ends[last - 1])))
        first = last
    return rows


def _range(piece: Piece) -> tuple[int, int]:
    pitches = piece.notes["pitch"]
    low, high = (int(pitches.min()), int(pitches.max())) if len(pitches) else (60, 72)
    more = max(LEAST_SEMITONES - (high - low + 1 + 2 * ROOM), 0)
    return max(low - ROOM - more // 2, LOWEST), min(high + ROOM + (more + 1) // 2, HIGHEST)
