"""Pieces laid out for training: one after the other in as many rows as a batch has, cut into windows of steps.

No step is padding but the last ones, and what a network carries from window to window is never that of another piece.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from worker.sequences.spec import SequenceSpec

# How many held-out pieces are judged side by side.
JUDGED_ROWS = 16


@dataclass(frozen=True)
class Steps:
    """A piece as steps: `tokens` and `codes` (steps, fields) int32, `context` (steps, numbers) float32.

    Tokens are what is chosen, codes what is known of the fields afterwards.
    """

    tokens: np.ndarray
    codes: np.ndarray
    context: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)

    def before(self, spec: SequenceSpec) -> np.ndarray:
        """What is known of the fields before each step."""
        return np.concatenate([np.array([spec.codes], np.int32), self.codes[:-1]])


@dataclass(frozen=True)
class Layout:
    """Rows of pieces: every array is (windows, rows, steps, …); `weights` is 1 where there is a step, `pieces` whose
    it is, -1 for none.
    """

    tokens: np.ndarray
    codes: np.ndarray
    before: np.ndarray
    context: np.ndarray
    starts: np.ndarray
    weights: np.ndarray
    pieces: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)


def cut(pieces: Sequence[Steps], spec: SequenceSpec, *, rows: int, window: int) -> Layout:
    """For training: the pieces in a row, in their order, cut into as many equal parts as there are rows.

    A piece that is cut goes on in the next row without what came before it.
    """
    total = sum(map(len, pieces))
    each = -(-total // rows)
    steps = -(-each // window) * window
    layout = _empty(spec, rows, steps)
    row = at = 0
    for number, piece in enumerate(pieces):
        done = 0
        while done < len(piece):
            taken = min(len(piece) - done, each - at)
            _put(layout, spec, row, at, piece, number, done, taken)
            done, at = done + taken, at + taken
            if at == each:
                row, at = row + 1, 0
    return _windows(layout, window)


def whole(pieces: Sequence[Steps], spec: SequenceSpec, *, rows: int, window: int) -> Layout:
    """For judging: every piece whole in one row, the longest first to where there is most room.

    There are as many rows for few pieces as for many: what is compiled for one shape serves all.
    """
    filled: list[list[int]] = [[] for _ in range(rows)]
    lengths = np.zeros(rows, np.int64)
    for number in sorted(range(len(pieces)), key=lambda number: -len(pieces[number])):
        row = int(lengths.argmin())
        filled[row].append(number)
        lengths[row] += len(pieces[number])
    layout = _empty(spec, rows, max(1, -(-int(lengths.max()) // window)) * window)
    for row, numbers in enumerate(filled):
        at = 0
        for number in numbers:
            _put(layout, spec, row, at, pieces[number], number, 0, len(pieces[number]))
            at += len(pieces[number])
    return _windows(layout, window)


def _empty(spec: SequenceSpec, rows: int, steps: int) -> Layout:
    fields = (rows, steps, spec.fields)
    return Layout(
        tokens=np.zeros(fields, np.int32),
        codes=np.zeros(fields, np.int32),
        before=np.zeros(fields, np.int32),
        context=np.zeros((rows, steps, spec.context), np.float32),
        starts=np.zeros((rows, steps), np.float32),
        weights=np.zeros((rows, steps), np.float32),
        pieces=np.full((rows, steps), -1, np.int32),
    )


def _put(
    layout: Layout, spec: SequenceSpec, row: int, at: int, piece: Steps, number: int, first: int, count: int
) -> None:
    here, there = slice(at, at + count), slice(first, first + count)
    layout.tokens[row, here] = piece.tokens[there]
    layout.codes[row, here] = piece.codes[there]
    layout.before[row, here] = piece.before(spec)[there]
    layout.context[row, here] = piece.context[there]
    layout.starts[row, at] = 1
    layout.weights[row, here] = 1
    layout.pieces[row, here] = number


def _windows(layout: Layout, window: int) -> Layout:
    def split(values: np.ndarray) -> np.ndarray:
        rows, steps = values.shape[:2]
        parts = values.reshape(rows, steps // window, window, *values.shape[2:])
        return np.ascontiguousarray(np.moveaxis(parts, 1, 0))

    return Layout(*map(split, _arrays(layout)))


def _arrays(layout: Layout) -> Iterator[np.ndarray]:
    yield from (layout.tokens, layout.codes, layout.before, layout.context)
    yield from (layout.starts, layout.weights, layout.pieces)
