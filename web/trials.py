"""The trials of a search, the best first: the leader board."""

from typing import Any

from sqlalchemy import Row

from shared import job_list, studies
from shared.errors import NotFound
from shared.jobs import RUNNING, SUCCEEDED
from shared.keys import READ
from shared.tuning_params import TUNE
from web import schemas
from web.api import Answer, Call, route
from web.requests import RowsPage

# After those with a value: what is under way, then what came to none.
PLACES = {RUNNING: 1, SUCCEEDED: 2, "failed": 3}
LAST = 4

Json = dict[str, Any]


class Trial(schemas.Open):
    """One point of a space, and what it came to."""

    number: int
    job: str
    state: str
    axes: Json | None
    # Of a point that is judged once more, in folds; without axes it is the training without the space.
    final: bool
    value: float | None
    metric: str
    epochs: int | None
    stopped_by: str | None
    progress: Json | None
    error: str | None
    compute_s: float | None


class TrialPage(schemas.Open):
    data: list[Trial]
    next_cursor: str | None
    total: int
    # Why no further trial was begun; null where all were, or may be.
    stopped: Json | None


@route("GET", "/v1/jobs/<job_id>/trials", scope=READ, query=RowsPage, answer=TrialPage, errors=(404,))
def show(call: Call, job_id: str) -> Answer:
    """The trials of a search: those with a value, the best first, then those under way, given up, failed, waiting."""
    page: RowsPage = call.query
    search = job_list.find(call.sql, call.caller.tenant, job_id)
    if search.action != TUNE:
        raise NotFound("The job is no search, and has no trials.")
    metric, better = studies.aim(search)
    trials = [_shown(row, metric) for row in studies.list_trials(call.sql, job_id)]
    ordered = sorted(trials, key=lambda trial: _place(trial, better))
    end = page.cursor + page.limit
    return Answer({
        "data": ordered[page.cursor : end],
        "next_cursor": str(end) if end < len(ordered) else None,
        "total": len(ordered),
        "stopped": studies.why_stopped(call.sql, job_id),
    })  # fmt: skip


def _place(trial: Json, better: str) -> tuple[int, int, float, int]:
    """Finals before all others: their figure is another one, and it decides."""
    if trial["value"] is not None:
        value = -trial["value"] if better == "higher" else trial["value"]
        return 0, not trial["final"], value, trial["number"]
    return PLACES.get(trial["state"], LAST), 0, 0.0, trial["number"]


def _shown(row: Row[Any], metric: str) -> Json:
    result = row.result or {}
    return {
        "number": row.params["number"],
        "job": row.id,
        "state": row.state,
        "axes": row.params.get("axes"),
        "final": bool(row.params.get("final")),
        "value": result.get("value"),
        "metric": metric,
        "epochs": result.get("epochs"),
        "stopped_by": result.get("stopped_by"),
        "progress": row.progress if row.state == RUNNING else None,
        "error": (row.error or {}).get("code"),
        "compute_s": (row.cost or {}).get("compute_s"),
    }
