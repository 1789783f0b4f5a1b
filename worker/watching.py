"""What a scoring says of drift: against the rows of the model's training, and against the run before it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Row

from shared import job_list
from shared.errors import JobFailed, Unavailable
from worker import drift
from worker.desk import Desk
from worker.drift import Counts, Move

Json = dict[str, Any]

# The file of a scoring that later ones are compared with.
FILE = "distribution.json"
SIDES = ("inputs", "outputs")
UNREADABLE = "What the last run ({}) has counted is gone or damaged: drift is told since the training alone."


@dataclass(frozen=True)
class Told:
    """What the result gains, and the files that a later scoring reads."""

    summary: Json
    files: list[Json] = field(default_factory=list)

    @property
    def warnings(self) -> list[Json]:
        return list(self.summary.get("warnings", ()))


def tell(desk: Desk, before: Counts, counts: np.ndarray | int | None, threshold: float) -> Told:
    """Compare what was counted, and warn of what has moved further than the threshold."""
    now = before.filled(counts) if isinstance(counts, np.ndarray) else None
    if now is None or now.rows == 0:
        return Told({"drift": None, "warnings": []})
    training = _moves(before, now)
    warnings = list(_warnings(training, "at its training", threshold))
    said: Json = {"threshold": threshold, "rows": now.rows, "training": _told(training, threshold), "last_run": None}
    last = _last_run(desk)
    if last is not None:
        earlier = _counts_of(desk, last)
        if earlier is None:
            warnings.append({"code": "last_run_unreadable", "detail": UNREADABLE.format(last.job)})
        else:
            moves = _moves(earlier, now)
            said["last_run"] = {"job": last.job, **_told(moves, threshold)}
            warnings += _warnings(moves, f"in the last run ({last.job})", threshold)
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


def _counts_of(desk: Desk, file: Row[Any]) -> Counts | None:
    """What an earlier run has counted; None where its file is gone or damaged, which is no fault of this one."""
    try:
        return Counts.model_validate_json(desk.get(file.key, sha256=file.sha256))
    except (JobFailed, ValueError):
        return None
    except Unavailable as away:
        if away.code != "file_missing":
            raise
        return None
