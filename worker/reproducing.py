"""A version's training carried out once more, and what came out held against what is stored; nothing is published.

Only a worker with TensorFlow loads this.
"""

import hashlib
from typing import Any

from sqlalchemy import Row

from shared import evidence, models, reproducing
from shared.models import NewVersion
from worker import pipeline, sameness
from worker.callbacks import CUT_SHORT, Cut
from worker.desk import Desk
from worker.ending import Ending

Json = dict[str, Any]


def reproduce(desk: Desk) -> Ending:
    """Train as the version was trained, and tell whether the same came out, byte for byte."""
    with desk.database.reading() as sql:
        version = models.find_by_id(sql, desk.claim.version or "")
        job = evidence.trainings(sql, [version]).get(version.job)
    desk.enter("loading")
    then = _read(desk, version.files)
    desk.cut = _cut(job)
    learned = pipeline.learn(desk, reproducing.training(version))
    desk.enter("comparing")
    said = _compared(desk, version, then, learned.version)
    said |= {name: learned.said[name] for name in ("epochs", "best_epoch", "stopped_by") if name in learned.said}
    return Ending(lambda sql: said)


def _cut(job: Row[Any] | None) -> Cut | None:
    """Where the training was cut short: of its epochs up to there the best was kept, which fewer epochs would not."""
    result = {} if job is None else job.result or {}
    is_cut = result.get("stopped_by") in CUT_SHORT and "epochs" in result
    return Cut(result["epochs"], result["stopped_by"]) if is_cut else None


def _read(desk: Desk, files: list[Json]) -> dict[str, bytes]:
    """Raises JobFailed (integrity) for what is not as it was written."""
    return {file["name"]: desk.get(file["key"], sha256=file["sha256"]) for file in files}


def _compared(desk: Desk, version: Row[Any], then: dict[str, bytes], new: NewVersion) -> Json:
    now = _read(desk, new.files)
    files = {name: _of_file(then.get(name), now.get(name)) for name in sorted({*then, *now})}
    metrics = sameness.of_values(version.metrics, new.metrics)
    differences = sameness.of_circumstances(version.lineage, new.lineage)
    return {
        "model": f"{version.name}@{version.number}",
        "identical": all(each["identical"] for each in files.values()) and not metrics["different"],
        "files": files,
        "metrics": metrics,
        "differences": differences,
        "lineage": new.lineage,
        "warnings": new.warnings,
    }


def _of_file(then: bytes | None, now: bytes | None) -> Json:
    said: Json = {
        "identical": then == now,
        "then_sha256": None if then is None else hashlib.sha256(then).hexdigest(),
        "now_sha256": None if now is None else hashlib.sha256(now).hexdigest(),
    }
    if then is None or now is None or then == now:
        return said
    return {**said, **sameness.of_arrays(then, now)}
