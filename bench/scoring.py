"""Scoring a million rows from Parquet to Parquet, against Keras's own predict, and against reading and writing alone.

`python -m bench.scoring TABLE FOLDER` scores a table once and prints the MiB that it held at most, and before.
"""

import os
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.asking import Asked
from bench.measurement import Measurement, compare
from bench.service import Json
from shared.networks import Layer
from shared.table_params import TableScoring
from worker import artifacts, drift, features, kinds, networks, predictions, tables
from worker.drift import Counts
from worker.features import Number
from worker.networks import NetworkSpec
from worker.predictions import Scorer

KIND = "classification"
ROWS, FEWER, COLUMNS = 1_000_000, 250_000, 64
NAMES = [f"f{place:02}" for place in range(COLUMNS)]
SPEC = NetworkSpec(COLUMNS, 1, (Layer(units=128), Layer(units=64)), "sigmoid")
PROFILE: Json = {"roles": {"target": [], "group": None, "id": None, "mask": [], "drop": []}}
TARGET = {"encoding": "binary", "labels": ("pop", "rock"), "positive": "rock", "columns": ("genre",)}
KiB = 1024


def measure(rounds: int) -> list[Measurement]:
    against_keras, against_copy, peaks = [], [], []
    with tempfile.TemporaryDirectory(prefix="etude-bench-") as folder, Asked("bench.peers.keras_predict") as keras:
        large, small = Path(folder, "large.parquet"), Path(folder, "small.parquet")
        write_table(large, rows=ROWS)
        write_table(small, rows=FEWER)
        scorer = open_scorer()
        score(small, Path(folder), scorer=scorer)
        keras.ask()
        for _ in range(rounds):
            scored = score(large, Path(folder), scorer=scorer)
            against_keras.append((scored, keras.ask()))
            against_copy.append((scored, copy(large, Path(folder, "copy.parquet"))))
            (more, before), (less, _) = _peak_mib(large, Path(folder)), _peak_mib(small, Path(folder))
            peaks.append((more, less))
    rows = f"{ROWS:,} × {COLUMNS} of float64 through 128-64-1, standardised, from Parquet to Parquet"
    alone = "the same file read into float32 matrices by a stream, and one column of as many rows written"
    held = f"greatest RSS of a process that scores once; {before:.0f} MiB of it are held before the first row"
    return [
        compare("scoring, against keras.predict on an array", against_keras, unit="rows/s", bar="≥ 20", note=rows),
        compare("scoring, against reading and writing alone", against_copy, unit="rows/s", bar="≥ 0.7", note=alone),
        compare(f"memory of scoring {ROWS:,} rows, against {FEWER:,}", peaks, unit="MiB", bar="≤ 1.1", note=held),
    ]


def write_table(path: Path, *, rows: int, columns: int = COLUMNS, group_rows: int = tables.BATCH_ROWS) -> None:
    """A canonical table of random numbers."""
    random = np.random.default_rng(0)
    with pq.ParquetWriter(path, pa.schema([(name, pa.float64()) for name in NAMES[:columns]])) as writer:
        for first in range(0, rows, group_rows):
            count = min(group_rows, rows - first)
            writer.write_table(pa.table({name: random.normal(3, 2, count) for name in NAMES[:columns]}))


def open_scorer() -> Scorer:
    """A classifier ready to score, as a job would have it."""
    preprocessing = features.as_json([Number(name=name, mean=3.0, scale=2.0) for name in NAMES])
    weights = networks.weights(networks.build(SPEC, seed=0))
    model: Scorer = kinds.find(KIND).predict.open(artifacts.Model(KIND, SPEC, weights, preprocessing, TARGET))
    return model


@cache
def distribution(scorer: Scorer) -> Counts:
    """What drift is told against: of some rows such as those of the table."""
    x = np.random.default_rng(2).normal(size=(10_000, COLUMNS)).astype(np.float32)
    said = scorer.answer(scorer.network(x)).said
    inputs = drift.learn(drift.of_matrix(scorer.features, x), scorer.features)
    return Counts(rows=len(x), inputs=inputs, outputs=drift.learn(said))


def score(path: Path, folder: Path, *, scorer: Scorer) -> float:
    """Rows a second of the worker's own scoring."""
    wanted = TableScoring(formats=["parquet"])
    began = time.perf_counter()
    said = predictions.score(
        [path], PROFILE, scorer, wanted, folder=folder, progress=lambda *_: None, before=distribution(scorer)
    )
    return int(said["rows"]) / (time.perf_counter() - began)


def copy(path: Path, to: Path) -> float:
    """Rows a second of reading the table into float32 matrices and writing one column, with no model between."""
    began, rows = time.perf_counter(), 0
    with pq.ParquetFile(path, pre_buffer=False) as file, pq.ParquetWriter(to, pa.schema([("x", pa.float32())])) as out:
        for batch in file.iter_batches(tables.BATCH_ROWS):
            matrix = np.empty((batch.num_rows, COLUMNS), np.float32)
            for place, column in enumerate(batch.columns):
                matrix[:, place] = column.to_numpy()
            out.write_batch(pa.record_batch({"x": matrix[:, 0]}))
            rows += batch.num_rows
    return rows / (time.perf_counter() - began)


def _peak_mib(path: Path, folder: Path) -> tuple[float, float]:
    """What a fresh process that scores the table holds at most, and what it held before."""
    command = [sys.executable, "-m", "bench.scoring", str(path), str(folder)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    peak, before = map(float, ran.stdout.split())
    return peak, before


def status_mib(pid: int, name: str) -> float:
    """What the kernel says of a process's memory: VmRSS, or VmHWM for the most of it."""
    # Not getrusage: its peak begins with that of the process which started this one.
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / KiB


def main() -> None:
    table, folder = (Path(each) for each in sys.argv[1:])
    scorer = open_scorer()
    before = status_mib(os.getpid(), "VmRSS")
    score(table, folder, scorer=scorer)
    print(status_mib(os.getpid(), "VmHWM"), before)


if __name__ == "__main__":
    main()
