"""Model versions as trainings leave them behind, without a training."""

from typing import Any

from sqlalchemy import Connection

from shared import claims, models
from shared.models import NewVersion
from tests import factories

Json = dict[str, Any]

FILE = {"name": "weights.safetensors", "size_bytes": 7}


def metric(value: float, *, low: float | None = None, high: float | None = None) -> Json:
    return {"value": value, "interval": None if low is None else [low, high]}


def lineage(dataset: str = "ds_1", *, seed: int = 0, **params: Any) -> Json:
    return {
        "dataset": {"id": dataset, "reference": "songs@1", "sha256": dataset * 2, "format": "table"},
        "params": {"epochs": 20, "hidden": [{"units": 8}], **params},
        "seed": seed,
        "split": {"by": "shuffle", "train": 80, "validation": 20, "duplicates_dropped": 0},
        "code": {"etude": "0.1.0", "keras": "3.12.0"},
        "machine": {"cpu": "A processor", "threads": 2},
    }


def make_version(sql: Connection, tenant: str, *, name: str = "songs", accuracy: float = 0.8, **values: Any) -> int:
    """The number of a version that a training has just recorded."""
    factories.make_job(sql, tenant, model=name, datasets=values.pop("datasets", []))
    claim = factories.claim(sql)
    metrics = {"validation": {"accuracy": metric(accuracy, low=accuracy - 0.05, high=accuracy + 0.05)}}
    baselines = {"validation": {"majority_class": {"accuracy": metric(0.5)}}}
    made = {
        "files": [], "metrics": metrics, "baselines": baselines, "warnings": [], "lineage": lineage(), "parameters": 42,
    }  # fmt: skip
    result = models.record(sql, claim, NewVersion(**{**made, **values}))
    claims.succeed(sql, claim, result=result, cost={"compute_s": 3.5})
    return int(result["version"])
