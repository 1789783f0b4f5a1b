"""Where a model version came from: dataset, params, seed, split, code and library versions."""

from importlib.metadata import version
from typing import Any

from sqlalchemy import Row

from shared.claims import Claim
from shared.table_params import TableTraining

CODE_VERSION = "0.1.0"
LIBRARIES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "scikit-learn", "pyarrow")

Json = dict[str, Any]


def of_training(claim: Claim, dataset: Row[Any], params: TableTraining, split: Json) -> Json:
    """All that is needed to train the same again."""
    return {
        "job": claim.job_id,
        "attempt": claim.attempt,
        "dataset": {
            "id": dataset.id,
            "reference": f"{dataset.name}@{dataset.version}",
            "sha256": dataset.sha256,
            "format": dataset.format,
        },
        "params": params.model_dump(mode="json"),
        "seed": params.seed,
        "split": split,
        "code": {"etude": CODE_VERSION, **_libraries()},
    }


def _libraries() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except ModuleNotFoundError:  # one of TensorFlow's two flavours is always absent
            continue
    return found
