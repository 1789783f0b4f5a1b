"""How a table becomes a matrix: learned on the training rows, stored as JSON, applied alike at scoring.

A feature makes one or more columns of the float32 matrix. The state is data: two closed forms, no code.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from shared.schema import Closed
from worker.tables import MISSING, Column, Table, Texts, labels

FLOAT32_MAX = float(np.finfo(np.float32).max)
# A column's slice of so many rows stays in the second-level cache while the row-major block is filled.
BLOCK_ROWS = 8192
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
    """The float32 matrix (rows, outputs), and the cells that could not be read, whose entries mean nothing."""
    bad: list[BadCells] = []
    readable = [_readable(feature, columns[feature.name], bad) for feature in features]
    rows = len(readable[0]) if readable else 0
    filled = np.empty((rows, len(names(features))), np.float32)
    for start in range(0, rows, BLOCK_ROWS):
        place, block = 0, filled[start : start + BLOCK_ROWS]
        for feature, cells in zip(features, readable, strict=True):
            width = len(feature.outputs)
            _write(feature, cells[start : start + BLOCK_ROWS], block[:, place : place + width])
            place += width
    return filled, bad


def _write(feature: Feature, cells: np.ndarray, block: np.ndarray) -> None:
    if isinstance(feature, Category):
        block[:] = cells[:, None] == np.arange(block.shape[1])
        return
    if feature.indicator:
        block[:, 1] = np.isnan(cells)
    if feature.fill is not None:
        cells = np.where(np.isnan(cells), feature.fill, cells)
    if feature.low is not None or feature.high is not None:
        cells = np.clip(cells, feature.low, feature.high)
    if feature.mean or feature.scale != 1.0:
        cells = (cells - feature.mean) / feature.scale
    block[:, 0] = cells


def _readable(feature: Feature, column: Column, bad: list[BadCells]) -> np.ndarray:
    """Places of words for a category, float64 for a number; adds to `bad` what is neither."""
    if isinstance(feature, Category):
        return _places(feature, column)
    values, unreadable = numbers(column)
    if unreadable is None and _is_plain(values):
        return values
    empty = np.isnan(values) if unreadable is None else np.isnan(values) & ~unreadable
    beyond = np.abs(values) > FLOAT32_MAX
    wrong = beyond | (empty if feature.fill is None else False) | (False if unreadable is None else unreadable)
    if wrong.any():
        rows = np.flatnonzero(wrong)
        bad.append(BadCells(feature.name, rows, [_reason(column, values, row) for row in rows.tolist()]))
        values = np.where(wrong, 0.0, values)
    return values


def _is_plain(values: np.ndarray) -> bool:
    """True when every cell is a number that float32 holds; NaN fails both comparisons."""
    return bool(len(values) == 0 or (values.min() >= -FLOAT32_MAX and values.max() <= FLOAT32_MAX))


def _reason(column: Column, values: np.ndarray, row: int) -> str:
    if isinstance(column, Texts) and column.codes[row] != MISSING:
        return f"expected a number, received {column.words[column.codes[row]][:40]!r}"
    if np.isnan(values[row]):
        return "expected a number, the cell is empty"
    return f"expected a finite number that fits 32 bits, received {float(values[row])!r}"


def numbers(column: Column) -> tuple[np.ndarray, np.ndarray | None]:
    """A column as float64, NaN where empty; for words also a mask of those that are no numbers."""
    if not isinstance(column, Texts):
        return column, None
    if column.boolean:
        return np.array([0.0, 1.0, np.nan])[column.codes], None
    parsed = [_number(word) for word in column.words]
    values = np.array([np.nan if value is None else value for value in parsed] + [np.nan])[column.codes]
    unreadable = np.array([value is None for value in parsed] + [False])[column.codes]
    return values, unreadable


def _number(word: str) -> float | None:
    # float() also takes 1_000, nan and digits of other scripts, which no CSV reader calls numbers.
    plain = word.strip()
    if not plain.isascii() or "_" in plain or "n" in plain.lower():
        return None
    try:
        return float(plain)
    except ValueError:
        return None


def _places(feature: Category, column: Column) -> np.ndarray:
    """The place of each row's word among the outputs; the rest come last, or nowhere when there is no such output."""
    known = {word: place for place, word in enumerate(feature.words)}
    rest = len(feature.words)
    texts = labels(column)
    words = [BOOLEAN_WORDS.get(word.lower(), word) for word in texts.words] if feature.boolean else texts.words
    return np.array([*(known.get(word, rest) for word in words), rest])[texts.codes]
