"""A real table for benchmarks: ETUDE_BENCH_SONGS names a CSV or CSV.xz of features, `filename` and `label` among them.

It is that of GTZAN's three-second segments (three genres), which states no licence; those of one song belong together.
"""

import csv
import io
import lzma
import os
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.measurement import MeasurementBroken
from shared.kinds.classification import TrainParams
from worker import kinds
from worker.kinds.protocol import Prepared
from worker.preparation import Examples

VARIABLE = "ETUDE_BENCH_SONGS"
KIND = "classification"
# Of the file: which segment of which song, and the same number in every row.
NO_FEATURES = ("filename", "length", "label")
ROLES = {"target": ["label"], "group": "song", "id": None, "mask": [], "drop": []}


def read() -> dict[str, list[Any]]:
    """Its columns, `song` and `label` among them. Raises MeasurementBroken where it is not named."""
    named = os.environ.get(VARIABLE)
    if not named or not Path(named).is_file():
        raise MeasurementBroken(f"expected {VARIABLE} to name features (see bench/songs.py), received {named!r}")
    content = Path(named).read_bytes()
    text = (lzma.decompress(content) if named.endswith(".xz") else content).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    numbers = {name: [float(row[name]) for row in rows] for name in rows[0] if name not in NO_FEATURES}
    # classical.00000.3.wav is a segment of classical.00000.
    songs = [row["filename"].rsplit(".", 2)[0] for row in rows]
    return {"song": songs, **numbers, "label": [row["label"] for row in rows]}


def load(columns: dict[str, list[Any]], params: TrainParams) -> Examples:
    """The examples of a training, as a job makes them of what an ingest has stored."""
    with tempfile.TemporaryDirectory(prefix="etude-bench-") as folder:
        path = Path(folder) / "part-00000.parquet"
        pq.write_table(pa.table(columns), path)
        profile = {"rows": len(columns["label"]), "columns": [], "roles": ROLES, "duplicates": 0}
        return kinds.find(KIND).data.load([path], profile, params)


def prepare(examples: Examples, params: TrainParams) -> Prepared:
    """Matrices, divided by songs."""
    return kinds.find(KIND).data.prepare(examples, params)
