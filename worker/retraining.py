"""Submits trainings anew, with the params of then, after what they had learned from was changed."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Row, select

from shared import jobs, refusals, submission
from shared.errors import RequestRefused
from shared.tables import jobs as job_table
from shared.wanted import NewJob
from worker.desk import Desk

Json = dict[str, Any]  # Any: JSON

# What is said where nothing was to be trained anew.
NOTHING: Json = {"retrained": [], "not_retrained": []}


def submit(sql: Connection, desk: Desk, models: Sequence[Row[Any]]) -> Json:
    """Submit one training for each of these versions of models, as it was trained.

    Returns the jobs, and beside them the models that cannot be trained as they were, each with the reason.
    """
    retrained: list[str] = []
    refused: list[Json] = []
    for model in models:
        before = sql.execute(select(job_table).where(job_table.c.id == model.job)).one()
        try:
            new = submission.check(sql, desk.claim.tenant, _wanted(before), desk.settings)
        except RequestRefused as refusal:
            # That a model cannot be trained any more is no reason to keep the events.
            reason = {"code": refusal.code, "detail": refusal.detail}
            refused.append({"model": f"{model.name}@{model.number}", "reason": reason})
            continue
        retrained.append(str(jobs.submit(sql, new).id))
    return {"retrained": retrained, "not_retrained": refused}


def _wanted(before: Row[Any]) -> NewJob:
    datasets = before.datasets[0] if len(before.datasets) == 1 else before.datasets
    said = {
        "action": before.action, "kind": before.kind, "dataset": datasets, "model": before.model,
        "params": before.params, "priority": before.priority, "labels": before.labels, "budget": before.budget,
        "promote": before.promote,
    }  # fmt: skip
    try:
        return NewJob.model_validate(said)
    except ValidationError as cause:
        raise refusals.of(cause) from cause
