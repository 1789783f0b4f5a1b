"""Canonical tables for tests: Parquet as the ingest writes it, and what its profile says of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Table = tuple[list[Path], dict[str, Any]]


def write(
    folder: Path,
    columns: Mapping[str, Any],
    *,
    target: Sequence[str] = (),
    group: str | None = None,
    id: str | None = None,
    mask: Sequence[str] = (),
    drop: Sequence[str] = (),
    mixed: Mapping[str, dict[str, Any]] | None = None,
    part_rows: int | None = None,
) -> Table:
    """Write the columns into one file, or into several of `part_rows`; returns their paths and the profile."""
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    paths = []
    for first in range(0, max(len(table), 1), part_rows or max(len(table), 1)):
        paths.append(folder / f"part-{len(paths):05}.parquet")
        pq.write_table(table.slice(first, part_rows), paths[-1], row_group_size=65_536)
    roles = {"target": list(target), "group": group, "id": id, "mask": list(mask), "drop": list(drop)}
    described = [{"mixed": (mixed or {}).get(name), **_describe(name, table[name])} for name in table.column_names]
    return paths, {"rows": len(table), "columns": described, "roles": roles, "duplicates": _duplicates(table, id)}


def _describe(name: str, column: pa.ChunkedArray) -> dict[str, Any]:
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    return {"name": name, "type": "number" if is_number else "text", "distinct": len(column.unique())}


def _duplicates(table: pa.Table, id: str | None) -> int:
    names = [name for name in table.column_names if name != id]
    return len(table) - len(table.group_by(names).aggregate([])) if names else 0


def music(rows: int, *, seed: int = 0) -> dict[str, Any]:
    """A learnable table: two telling numbers, one with holes, one of noise, a key, and a genre that depends on them."""
    random = np.random.default_rng(seed)
    tempo, energy, noise = random.normal(120, 20, rows), random.uniform(size=rows), random.normal(size=rows)
    is_rock = (tempo - 120) / 20 + 4 * (energy - 0.5) + 0.3 * random.normal(size=rows) > 0
    energy_told = [
        None if hole else float(value) for value, hole in zip(energy, random.random(rows) < 0.05, strict=True)
    ]
    return {
        "piece": [f"p{row}" for row in range(rows)],
        "tempo": tempo,
        "energy": energy_told,
        "noise": noise,
        "key": [["C", "G", "D"][place] for place in random.integers(3, size=rows)],
        "genre": ["rock" if each else "pop" for each in is_rock],
        "loudness": 3 * (tempo - 120) / 20 + energy,
    }
