"""How a table becomes a matrix: learned on the training rows, stored as JSON, applied alike at scoring.

A feature makes one or more columns of the float32 matrix. The state is data: two closed forms, no code.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from shared import sorts
from shared.cells import read_number
from shared.schema import Closed
from worker.tables import MISSING, Column, Table, Texts, labels

FLOAT32_MAX = float(np.finfo(np.float32).max)
# A column of true and false may come back as 0 and 1, or in capitals.
BOOLEAN_WORDS = {"0": "false", "false": "false", "1": "true", "true": "true"}


class Number(Closed):
    """A numeric column: filled, clipped to its fences, then (x - mean) / scale; `fill` None refuses missing cells."""

    type: Literal["number"] = "number"
    name: str
    fill: float | None = None
    low: float | None = None
    high: float | None = None
    mean: float = 0.0
    scale: float = 1.0
    indicator: bool = False

    @property
    def outputs(self) -> list[str]:
        return [self.name, f"{self.name} is missing"] if self.indicator else [self.name]


class Category(Closed):
    """A one-hot column for each word, and one for the rest (unseen, rare or missing) if training had such rows."""

    type: Literal["category"] = "category"
    name: str
    words: tuple[str, ...]
    rest: bool = False
    boolean: bool = False

    @property
    def outputs(self) -> list[str]:
        return [f"{self.name} = {word}" for word in self.words] + ([f"{self.name} = (other)"] if self.rest else [])


Feature = Number | Category


class _State(Closed):
    version: Literal[1] = 1
    features: tuple[Annotated[Feature, Field(discriminator="type")], ...]


@dataclass(frozen=True)
class BadCells:
    """Rows whose cell in this column cannot become a number, and why, row by row."""

    column: str
    rows: np.ndarray
    reasons: list[str]


def names(features: Sequence[Feature]) -> list[str]:
    """A name for each column of the matrix."""
    return [name for feature in features for name in feature.outputs]


def as_json(features: Sequence[Feature]) -> dict[str, Any]:
    """The state as JSON."""
    return _State(features=tuple(features)).model_dump(mode="json")


def from_json(state: Mapping[str, Any]) -> tuple[Feature, ...]:
    """The state back from JSON; a form or version that is not ours raises ValueError."""
    return _State.model_validate_json(json.dumps(state)).features


def matrix(features: Sequence[Feature], columns: Table) -> tuple[np.ndarray, list[BadCells]]:
    """The float32 matrix (rows, outputs), and the cells that could not be read, whose entries mean nothing.

    Its columns are contiguous (Fortran's order): that is how they are filled, and matrix products take either.
    """
    bad: list[BadCells] = []
    read = [_read(feature, columns[feature.name], bad) for feature in features]
    widths = [len(feature.outputs) for feature in features]
    filled = np.empty((len(read[0].values) if read else 0, sum(widths)), np.float32, order="F")
    place = 0
    for feature, cells, width in zip(features, read, widths, strict=True):
        _write(feature, cells, filled[:, place : place + width])
        place += width
    return filled, bad


@dataclass(frozen=True)
class _Cells:
    """A column ready to be written: float64, or places of words; what no cell of it needs is left out."""

    values: np.ndarray
    missing: np.ndarray | None = None
    is_within_fences: bool = False


def _write(feature: Feature, cells: _Cells, block: np.ndarray) -> None:
    values = cells.values
    if isinstance(feature, Category):
        block[:] = values[:, None] == np.arange(block.shape[1])
        return
    if feature.indicator:
        block[:, 1] = 0 if cells.missing is None else cells.missing
    if feature.low is not None and not cells.is_within_fences:
        values = np.clip(values, feature.low, feature.high)
    np.divide(values - feature.mean, feature.scale, out=block[:, 0], casting="same_kind")


def _read(feature: Feature, column: Column, bad: list[BadCells]) -> _Cells:
    """Read a column as its feature wants it; adds the cells that are no numbers to `bad`."""
    if isinstance(feature, Category):
        return _Cells(_places(feature, column))
    values, unreadable = numbers(column)
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    # The usual column in two passes: a NaN fails both comparisons.
    if low >= -FLOAT32_MAX and high <= FLOAT32_MAX:
        return _Cells(values, is_within_fences=_is_within(feature, low, high))
    empty = np.isnan(values) if unreadable is None else np.isnan(values) & ~unreadable
    wrong = (np.abs(values) > FLOAT32_MAX) | (np.isnan(values) if feature.fill is None else np.isnan(values) & ~empty)
    if wrong.any():
        rows = np.flatnonzero(wrong)
        bad.append(BadCells(feature.name, rows, [_reason(column, float(values[row]), row) for row in rows.tolist()]))
    return _Cells(np.where(wrong | empty, feature.fill or 0.0, values), missing=empty)


def _is_within(feature: Number, low: float, high: float) -> bool:
    return feature.low is not None and feature.high is not None and low >= feature.low and high <= feature.high


def _reason(column: Column, value: float, row: int) -> str:
    word = column.words[column.codes[row]] if isinstance(column, Texts) and column.codes[row] != MISSING else None
    if not np.isnan(value):
        return f"expected a finite number that fits 32 bits, received {sorts.of(value if word is None else word)}"
    return f"expected a number, {'the cell is empty' if word is None else f'received {sorts.of(word)}'}"


def numbers(column: Column) -> tuple[np.ndarray, np.ndarray | None]:
    """A column as float64, NaN where empty; for words also a mask of those that are no numbers."""
    if not isinstance(column, Texts):
        return column, None
    if column.boolean:
        return np.array([0.0, 1.0, np.nan])[column.codes], None
    parsed = [read_number(word) for word in column.words]
    values = np.array([np.nan if value is None else value for value in parsed] + [np.nan])[column.codes]
    unreadable = np.array([value is None for value in parsed] + [False])[column.codes]
    return values, unreadable


def _places(feature: Category, column: Column) -> np.ndarray:
    """The place of each row's word among the outputs; the rest come last, or nowhere when there is no such output."""
    known = {word: place for place, word in enumerate(feature.words)}
    rest = len(feature.words)
    texts = labels(column)
    words = [BOOLEAN_WORDS.get(word.lower(), word) for word in texts.words] if feature.boolean else texts.words
    return np.array([*(known.get(word, rest) for word in words), rest])[texts.codes]
