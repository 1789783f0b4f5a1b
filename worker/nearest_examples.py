"""Some rows of its training that a model keeps, and which of them are nearest to a row that is scored.

Of each only its key, its label and its inputs in half precision. They go with the dataset when it is erased
(shared/explanation.py).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from worker import tables
from worker.features import Feature, Number
from worker.importance import blocks
from worker.input_statistics import InputStatistics

# More say little more of what is near; of a wide table fewer are kept, 8 MB of numbers.
MOST_ROWS, MOST_CELLS = 1000, 4_000_000
# Half precision ends at 65,504; so far away nothing is near.
FARTHEST = 6e4


@dataclass(frozen=True)
class Examples:
    """Keys and labels as JSON, and places (examples, inputs) float32 in standard units."""

    keys: Sequence[str]
    labels: Sequence[str]
    places: np.ndarray


def choose(rows: int, *, inputs: int, seed: int) -> np.ndarray:
    """Which of the training rows are kept, in their order."""
    kept = min(rows, MOST_ROWS, MOST_CELLS // max(1, inputs))
    return np.sort(np.random.Generator(np.random.PCG64(seed)).permutation(rows)[:kept])


def read_keys(paths: Sequence[Path], key: str | None, rows: np.ndarray) -> list[Any]:
    """What names these rows in their dataset: their cells of the id column, or their numbers."""
    if key is None:
        return [int(row) for row in rows]
    column = pa.chunked_array([batch.column(0) for batch in tables.batches(paths, [key])])
    named: list[Any] = column.take(pa.array(rows)).to_pylist()
    return named


def standardise(features: Sequence[Feature], statistics: InputStatistics, x: np.ndarray) -> np.ndarray:
    """Inputs as places (rows, inputs) float32: numbers in standard deviations, words and gaps as 0 and 1."""
    placed = np.asarray(x, np.float32).copy()
    for feature, block in blocks(features):
        if isinstance(feature, Number):
            place = block.start
            placed[:, place] = (x[:, place] - statistics.mean[place]) / statistics.deviation[place]
    return np.clip(placed, -FARTHEST, FARTHEST)


def restore(features: Sequence[Feature], statistics: InputStatistics, placed: np.ndarray) -> np.ndarray:
    """What was standardised, as inputs again: near those that were, for they are kept in half precision."""
    x = np.asarray(placed, np.float32).copy()
    for feature, block in blocks(features):
        if isinstance(feature, Number):
            place = block.start
            x[:, place] = placed[:, place] * statistics.deviation[place] + statistics.mean[place]
    return x


def pack(keys: Iterable[Any], labels: Iterable[Any], places: np.ndarray) -> bytes:
    """As a file of the model."""
    flat = pa.array(np.ascontiguousarray(places, np.float16).reshape(-1))
    columns = {
        "key": pa.array([_json(key) for key in keys], pa.string()),
        "label": pa.array([_json(label) for label in labels], pa.string()),
        "place": pa.FixedSizeListArray.from_arrays(flat, places.shape[1]),
    }
    table, sink = pa.table(columns), pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def unpack(content: bytes, *, inputs: int) -> Examples:
    """Back from the file. Raises ValueError (also Arrow's) or KeyError when it is not of a model with these inputs."""
    table = pa.ipc.open_file(content).read_all()
    flat = table["place"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    places = flat.astype(np.float32).reshape(len(table), inputs)
    return Examples(table["key"].to_pylist(), table["label"].to_pylist(), places)


def find(examples: Examples, placed: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest to each row, the nearest first: their places among the examples, and how far, (rows, k) each."""
    known, asked = examples.places.astype(np.float64), placed.astype(np.float64)
    squares = (asked**2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2 * asked @ known.T
    nearest = squares.argsort(axis=1, kind="stable")[:, :k]
    # Differences of large squares are rough: what is told is measured again.
    distances = np.linalg.norm(asked[:, None] - known[nearest], axis=2)
    order = distances.argsort(axis=1, kind="stable")
    return np.take_along_axis(nearest, order, axis=1), np.take_along_axis(distances, order, axis=1)


def _json(value: Any) -> str:  # Any: a cell, or what a kind predicts
    return json.dumps(value, ensure_ascii=False)
