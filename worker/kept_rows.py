"""What a version said of the rows that it has held out, kept with it, so that a later one is compared row by row."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from shared.errors import JobFailed, NotAllowedNow
from shared.kept_files import HELD_OUT as FILE
from worker.desk import Desk

Json = dict[str, Any]

# 8 MB; of more rows the figures alone are kept.
MOST_NUMBERS = 2_000_000


@dataclass(frozen=True)
class Kept:
    """Outputs (rows, outputs), and the target by which they are understood."""

    outputs: np.ndarray
    target: Json


def pack(kept: Kept, rows: np.ndarray, units: np.ndarray) -> dict[str, bytes]:
    """The file by its name: outputs, target, the number of each row, and which rows belong together; or none."""
    outputs = kept.outputs
    if not len(rows) or outputs.size > MOST_NUMBERS:
        return {}
    codes = np.unique(units, return_inverse=True)[1]
    target = np.frombuffer(json.dumps(kept.target).encode(), np.uint8)
    arrays = {
        "outputs": outputs.astype(np.float32),
        "rows": rows.astype(np.int64),
        "units": codes.astype(np.int64),
        "target": target,
    }
    return {FILE: save({name: np.ascontiguousarray(array) for name, array in arrays.items()})}


def has(files: Sequence[Json]) -> bool:
    """Whether a version with these files has kept them."""
    return any(file["name"] == FILE for file in files)


def read(desk: Desk, files: Sequence[Json], rows: np.ndarray) -> Kept:
    """What a version said of these rows. Raises NotAllowedNow where it has kept others, JobFailed (integrity)."""
    (file,) = [each for each in files if each["name"] == FILE]
    try:
        arrays = load(desk.get(file["key"], sha256=file["sha256"]))
        kept = Kept(arrays["outputs"], json.loads(arrays["target"].tobytes()))
        is_of_these = np.array_equal(arrays["rows"], rows) and len(kept.outputs) == len(rows)
    except (KeyError, ValueError, SafetensorError) as cause:
        raise JobFailed("The model's files are damaged: restore them.", code="integrity") from cause
    if not is_of_these:
        raise NotAllowedNow("it has held out other rows.", code="gate_refused")
    return kept
