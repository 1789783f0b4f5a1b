"""A model as files: spec, weights, and how its training's rows were distributed. Data only, no programs."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from shared.errors import JobFailed
from shared.kept_files import INPUTS
from worker import input_statistics
from worker.drift import Counts
from worker.input_statistics import InputStatistics
from worker.model_files import SPEC, VERSION, WEIGHTS
from worker.networks import NetworkSpec

COUNTS = "distribution.json"
FILES = (SPEC, WEIGHTS, COUNTS)

Json = dict[str, Any]


@dataclass(frozen=True)
class Model:
    """All that scoring needs."""

    kind: str
    network: NetworkSpec
    weights: dict[str, np.ndarray]
    preprocessing: Any  # JSON of the learned features
    target: Json
    # What a network of recordings listens to; None for rows of a table.
    input: Json | None = None
    # How its training's rows were distributed; None of a version from before that was kept.
    counts: Counts | None = None
    # How its inputs were distributed in the training; None of recordings, and of a version from before that was kept.
    inputs: InputStatistics | None = None


def pack(model: Model) -> dict[str, bytes]:
    """The model's files by name."""
    spec = {
        "version": VERSION,
        "kind": model.kind,
        "network": model.network.as_json(),
        "preprocessing": model.preprocessing,
        "target": model.target,
        **({} if model.input is None else {"input": model.input}),
    }
    arrays = {name: np.ascontiguousarray(array) for name, array in model.weights.items()}
    files = {SPEC: json.dumps(spec, indent=1, ensure_ascii=False).encode(), WEIGHTS: save(arrays)}
    if model.counts is not None:
        files[COUNTS] = model.counts.model_dump_json().encode()
    if model.inputs is not None:
        files[INPUTS] = input_statistics.pack(model.inputs)
    return files


def unpack(files: dict[str, bytes]) -> Model:
    """The model that the files describe. Raises JobFailed (integrity) when they are not what `pack` writes."""
    try:
        spec = json.loads(files[SPEC])
        if spec["version"] != VERSION:
            raise ValueError("expected version 1")
        network = NetworkSpec.from_json(spec["network"])
        return Model(
            kind=spec["kind"],
            network=network,
            weights=load(files[WEIGHTS]),
            preprocessing=spec["preprocessing"],
            target=spec["target"],
            input=spec.get("input"),
            counts=Counts.model_validate_json(files[COUNTS]) if COUNTS in files else None,
            inputs=input_statistics.unpack(files[INPUTS], inputs=network.inputs) if INPUTS in files else None,
        )
    except (KeyError, ValueError, SafetensorError) as cause:
        raise JobFailed("The model's files are damaged: restore them.", code="integrity") from cause
