"""What is known of items beside who played them: the columns of the item table, as labels to choose and describe by."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

# What stands between several labels of one cell; a comma only in columns that are lists by their name.
BETWEEN = re.compile(r"\s*[|;]\s*")
BETWEEN_OF_LISTS = re.compile(r"\s*[|;,]\s*")
LISTS = ("tags", "tag", "genres", "genre", "moods", "styles", "keywords", "instruments", "themes", "labels")
ARTISTS = ("artist", "artists", "artist_id", "artist_name", "composer", "band", "label", "creator")
GENRES = ("genre", "genres", "tags", "tag", "style", "styles", "mood", "moods")


@dataclass(frozen=True)
class Labels:
    """A column as labels: sparse (items, words) of ones."""

    words: list[str]
    matrix: sparse.csr_matrix

    @cached_property
    def places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}

    def first(self) -> np.ndarray:
        """The place of the first label of each item, -1 where it has none; int32 (items,)."""
        filled = np.diff(self.matrix.indptr) > 0
        found = np.full(self.matrix.shape[0], -1, np.int32)
        found[filled] = self.matrix.indices[self.matrix.indptr[:-1][filled]]
        return found

    # What whole cells say, and the cell of each item, -1 where it is empty.
    cells: list[str]
    codes: np.ndarray

    def having(self, wanted: Sequence[str]) -> np.ndarray:
        """Which items have one of these labels, or say exactly this, bool (items,)."""
        asked = {word.strip() for word in wanted}
        columns = [self.places[word] for word in asked if word in self.places]
        whole = [place for place, cell in enumerate(self.cells) if cell.strip() in asked]
        return np.asarray(self.matrix[:, columns].sum(axis=1) > 0).ravel() | np.isin(self.codes, whole)

    def unknown(self, wanted: Sequence[str]) -> list[str]:
        """Of these labels those that no item has."""
        cells = {cell.strip() for cell in self.cells}
        return [word for word in wanted if word.strip() not in self.places and word.strip() not in cells]


class Catalogue:
    """The item table in the order of the items; columns become labels when they are asked for."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._labels: dict[str, Labels] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.table.column_names

    @property
    def names(self) -> list[str]:
        return list(self.table.column_names)

    def is_number(self, name: str) -> bool:
        kind = self.table.schema.field(name).type
        return pa.types.is_integer(kind) or pa.types.is_floating(kind)

    def labels(self, name: str) -> Labels:
        """A column as labels: the parts of a list, or what the cell says."""
        if name not in self._labels:
            self._labels[name] = _labels(name, self.table.column(name))
        return self._labels[name]

    def numbers(self, name: str) -> np.ndarray:
        """A column of numbers, float64 (items,), NaN where it is empty."""
        cells = self.table.column(name).cast(pa.float64()).combine_chunks()
        return np.asarray(cells.to_numpy(zero_copy_only=False), np.float64)

    def texts(self, name: str) -> list[str | None]:
        """What each cell says."""
        return list(self.table.column(name).cast(pa.string()).to_pylist())

    def first_of(self, wanted: Sequence[str]) -> str | None:
        """The first of these names that is a column, in whatever case."""
        lowered = {name.lower(): name for name in reversed(self.table.column_names)}
        return next((lowered[name] for name in wanted if name in lowered), None)

    def row(self, place: int) -> Mapping[str, Any]:  # Any: cells
        return {name: self.table.column(name)[place].as_py() for name in self.table.column_names}


def _labels(name: str, column: pa.ChunkedArray) -> Labels:
    coded = column.combine_chunks().cast(pa.string()).dictionary_encode()
    between = BETWEEN_OF_LISTS if name.lower() in LISTS else BETWEEN
    parts = [sorted({part for part in between.split(word.strip()) if part}) for word in coded.dictionary.to_pylist()]
    words = sorted({part for each in parts for part in each})
    places = {word: place for place, word in enumerate(words)}
    of_cell = _ones([[places[part] for part in each] for each in parts], len(words))
    codes = np.asarray(pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False), np.int64)
    # A row of nothing at the end, which the empty cells have.
    padded = sparse.vstack([of_cell, sparse.csr_matrix((1, len(words)), dtype=np.float32)], format="csr")
    return Labels(words, padded[np.where(codes < 0, len(parts), codes)], coded.dictionary.to_pylist(), codes)


def _ones(rows: Sequence[Sequence[int]], width: int) -> sparse.csr_matrix:
    ends = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    columns = np.fromiter((place for row in rows for place in row), np.int32, int(ends[-1]))
    return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape=(len(rows), width))
