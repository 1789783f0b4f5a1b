"""A model of sequences as files: spec and weights. Data only, no programs."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from shared.errors import JobFailed
from worker.model_files import SPEC, VERSION, WEIGHTS
from worker.sequences.spec import SequenceSpec

Json = dict[str, Any]


@dataclass(frozen=True)
class SequenceModel:
    """All that composing needs; `target` is the kind's own JSON."""

    kind: str
    network: SequenceSpec
    weights: dict[str, np.ndarray]
    target: Json


def pack(model: SequenceModel) -> dict[str, bytes]:
    """The model's files by name."""
    spec = {"version": VERSION, "kind": model.kind, "network": model.network.as_json(), "target": model.target}
    arrays = {name: np.ascontiguousarray(array) for name, array in model.weights.items()}
    return {SPEC: json.dumps(spec, indent=1, ensure_ascii=False).encode(), WEIGHTS: save(arrays)}


def unpack(files: dict[str, bytes]) -> SequenceModel:
    """The model that the files describe. Raises JobFailed (integrity) when they are not what `pack` writes."""
    try:
        spec = json.loads(files[SPEC])
        if spec["version"] != VERSION:
            raise ValueError("expected version 1")
        network, weights = SequenceSpec.from_json(spec["network"]), load(files[WEIGHTS])
        if {name: array.shape for name, array in weights.items()} != network.shapes:
            raise ValueError("expected the weights of the network")
        return SequenceModel(spec["kind"], network, weights, spec["target"])
    except (KeyError, ValueError, SafetensorError) as cause:
        raise JobFailed("The model's files are damaged: restore them.", code="integrity") from cause
