"""What a scoring says of drift: against the rows of the model's training, and against the run before it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Row

from shared import job_list
from shared.errors import JobFailed
from worker import drift
from worker.desk import Desk
from worker.drift import Counts, Move

Json = dict[str, Any]

# The file of a scoring that later ones are compared with.
FILE = "distribution.json"
SIDES = ("inputs", "outputs")


@dataclass(frozen=True)
class Told:
    """What the result gains, and the files that a later scoring reads."""

    summary: Json
    files: list[Json] = field(default_factory=list)


def tell(desk: Desk, before: Counts, counts: np.ndarray | int, threshold: float) -> Told:
    """Compare what was counted, and warn of what has moved further than the threshold."""
    now = None if isinstance(counts, int) else before.filled(counts)
    if now is None or now.rows == 0:
        return Told({"drift": None, "warnings": []})
    last = _last_run(desk)
    training = _moves(before, now)
    warnings = list(_warnings(training, "at its training", threshold))
    said: Json = {"threshold": threshold, "rows": now.rows, "training": _told(training, threshold), "last_run": None}
    if last is not None:
        moves = _moves(_counts_of(desk, last), now)
        said["last_run"] = {"job": last.job, **_told(moves, threshold)}
        warnings += _warnings(moves, f"in the last run ({last.job})", threshold)
    desk.warn(warnings)
    file = desk.put(FILE, now.model_dump_json().encode(), rows=now.rows)
    return Told({"drift": said, "warnings": warnings}, [file])


def _moves(before: Counts, now: Counts) -> dict[str, list[Move]]:
    return {side: drift.compare(getattr(before, side), getattr(now, side)) for side in SIDES}


def _told(moves: dict[str, list[Move]], threshold: float) -> Json:
    return {side: drift.told(moves[side], threshold) for side in SIDES}


def _warnings(moves: dict[str, list[Move]], since: str, threshold: float) -> Iterator[Json]:
    for side in SIDES:
        warning = drift.warning(side, since, moves[side], threshold)
        if warning is not None:
            yield warning


def _last_run(desk: Desk) -> Row[Any] | None:
    with desk.database.reading() as sql:
        return job_list.last_output(sql, desk.claim.tenant, desk.claim.job_id, FILE)


def _counts_of(desk: Desk, file: Row[Any]) -> Counts:
    try:
        return Counts.model_validate_json(desk.get(file.key, sha256=file.sha256))
    except ValueError as cause:
        raise JobFailed("The last run's files are damaged: restore them.", code="integrity") from cause
