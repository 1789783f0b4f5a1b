"""Where a model version came from, or a row of predictions: datasets, params, seed, split, code and libraries."""

import functools
import platform
from collections.abc import Sequence
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from shared.claims import Claim
from shared.code import CODE_VERSION
from shared.training_params import Training
from worker import cores
from worker.features import Feature

LIBRARIES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "scikit-learn", "pyarrow")

Json = dict[str, Any]


def of_training(
    claim: Claim, dataset: Row[Any], params: Training, split: Json, *, features: Sequence[Feature] = ()
) -> Json:
    """All that is needed to train the same again, and the columns that were learned from."""
    return {
        "job": claim.job_id,
        "attempt": claim.attempt,
        "dataset": of_dataset(dataset),
        "params": params.model_dump(mode="json"),
        "seed": params.seed,
        "split": split,
        "code": {"etude": CODE_VERSION, **_libraries()},
        # Sums of floats depend on how many threads share them, and on the instructions that a processor has.
        "machine": {"cpu": processor(), "threads": cores.count()},
        # Those of a recording are numbers that we compute, and no columns of the dataset.
        **({"columns": _columns(features)} if features and dataset.format == "table" else {}),
    }


def _columns(features: Sequence[Feature]) -> list[Json]:
    return [{"name": feature.name, "type": feature.type} for feature in features]


def of_scoring(version: Row[Any], datasets: Sequence[Row[Any]]) -> Json:
    """What every row of a scoring goes back to; `training` is the job whose own lineage has params, seed and split."""
    return {
        "model": f"{version.name}@{version.number}",
        "version": version.id,
        "training": version.lineage.get("job"),
        "datasets": [of_dataset(dataset) for dataset in datasets],
        "code": {"etude": CODE_VERSION, **_libraries()},
    }


def of_dataset(dataset: Row[Any]) -> Json:
    """What tells a dataset for good."""
    return {
        "id": dataset.id,
        "reference": f"{dataset.name}@{dataset.version}",
        "sha256": dataset.sha256,
        "format": dataset.format,
        # The dataset may be erased; what was never told of its rows is worth knowing still.
        **({} if dataset.masking is None else {"masking": dataset.masking}),
    }


@functools.cache
def processor() -> str | None:
    """The processor by the name that the system has for it; None where it says none."""
    told = Path("/proc/cpuinfo")
    if told.exists():
        names = (
            line.partition(":")[2].strip() for line in told.read_text().splitlines() if line.startswith("model name")
        )
        return next(names, None) or platform.machine() or None
    return platform.processor() or platform.machine() or None


def _libraries() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version_of(name)
        except ModuleNotFoundError:  # one of TensorFlow's two flavours is always absent
            continue
    return found
