"""A model that recommends as files: spec, arrays, and the items that it knows by name. Data only, no programs."""

import io
import json
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load, save

from shared.errors import JobFailed
from worker.interactions.stored import COLUMN
from worker.model_files import SPEC, VERSION, WEIGHTS
from worker.recommenders import factors, linear, low_rank, popularity, towers
from worker.recommenders.catalogue import Catalogue
from worker.recommenders.recommender import Recommender

Json = dict[str, Any]

ITEMS = "items.parquet"
ITEM, LISTENERS = "item", "listeners"
VECTORS, MODEL = "vectors", "model."
FORMS: dict[str, ModuleType] = {
    "popularity": popularity, "linear": linear, "low_rank": low_rank, "factors": factors, "towers": towers
}  # fmt: skip


@dataclass(frozen=True)
class RecommenderModel:
    """All that a list needs."""

    model: Recommender
    items: list[str]
    # How many have played each when it was learned, int64 (items,).
    listeners: np.ndarray
    catalogue: Catalogue
    # How alike items are, unit vectors float32 (items, size).
    vectors: np.ndarray
    # For whom nothing is known: what most have played.
    fallback: Recommender
    # How many it has learned from.
    users: int

    @cached_property
    def places(self) -> dict[str, int]:
        return {item: place for place, item in enumerate(self.items)}

    @cached_property
    def popularity(self) -> np.ndarray:
        """0 for what nobody has played to 1 for what most have, by the logarithm; float64 (items,)."""
        logs = np.log1p(self.listeners.astype(np.float64))
        return logs / max(1e-9, logs.max(initial=0.0))

    @cached_property
    def size_bytes(self) -> int:
        arrays = [*self.model.describe()[1].values(), self.vectors, self.listeners]
        names = sum(len(item) for item in self.items) + 100 * len(self.items)
        return sum(array.nbytes for array in arrays) + names + int(self.catalogue.table.nbytes)


def pack(kind: str, model: RecommenderModel, target: Json) -> dict[str, bytes]:
    """The model's files by name; `target` is the kind's own JSON."""
    said, arrays = model.model.describe()
    spec = {"version": VERSION, "kind": kind, "model": said, "listeners": model.users, "target": target}
    stored = {f"{MODEL}{name}": np.ascontiguousarray(array) for name, array in arrays.items()}
    stored[VECTORS] = np.ascontiguousarray(model.vectors)
    stored["fallback"] = np.ascontiguousarray(model.fallback.describe()[1]["ranked"])
    columns = {ITEM: pa.array(model.items, pa.string()), LISTENERS: pa.array(model.listeners, pa.int64())}
    for name in model.catalogue.names:
        columns[f"{COLUMN}{name}"] = model.catalogue.table.column(name)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, store_schema=False)
    return {
        SPEC: json.dumps(spec, indent=1, ensure_ascii=False).encode(),
        WEIGHTS: save(stored),
        ITEMS: sink.getvalue(),
    }


def unpack(files: dict[str, bytes]) -> RecommenderModel:
    """The model that the files describe. Raises JobFailed (integrity) when they are not what `pack` writes."""
    try:
        return _read(json.loads(files[SPEC]), load(files[WEIGHTS]), pq.read_table(io.BytesIO(files[ITEMS])))
    except (KeyError, ValueError, SafetensorError, pa.ArrowException) as cause:
        raise JobFailed("The model's files are damaged: restore them.", code="integrity") from cause


def _read(spec: Json, stored: dict[str, np.ndarray], table: pa.Table) -> RecommenderModel:
    if spec["version"] != VERSION:
        raise ValueError("expected version 1")
    said = spec["model"]
    arrays = {name.removeprefix(MODEL): array for name, array in stored.items() if name.startswith(MODEL)}
    model: Recommender = FORMS[said["form"]].restore(said, arrays)
    items = table.column(ITEM).to_pylist()
    if model.count != len(items) or len(stored[VECTORS]) != len(items):
        raise ValueError("expected an entry for each item")
    names = [name for name in table.column_names if name.startswith(COLUMN)]
    columns = table.select(names).rename_columns([name.removeprefix(COLUMN) for name in names])
    return RecommenderModel(
        model, items, table.column(LISTENERS).to_numpy(), Catalogue(columns), stored[VECTORS],
        popularity.Popular(stored["fallback"]), int(spec["listeners"]),
    )  # fmt: skip
