"""A trial of a search: it draws a point, learns with its settings, and says what they come to.

Only a worker with TensorFlow loads this.
"""

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from shared import claims, limits, studies
from shared.errors import JobCancelled, JobFailed, RequestRefused
from shared.table_params import TableTraining
from shared.tuning_params import TrialParams
from worker import notebook, pipeline, sampling
from worker.desk import Desk
from worker.ending import Ending
from worker.rungs import GivenUp, Rungs
from worker.sampling import Tried
from worker.study import HALVING, Study, enough, open_study, out_of_budget, spent

# What a trial leaves behind of its metrics: the columns of the leader board.
PARTS = ("validation", "test")
# What a training does for its reader, and not for the choice.
BARE = {
    "baselines": False, "importance": False, "keep_examples": False, "compare_random_split": False, "report_by": [],
}  # fmt: skip

Json = dict[str, Any]


def trial(desk: Desk) -> Ending:
    """Draw a point, learn with its settings, and say what they come to; or end, where the search has enough."""
    study = open_study(desk, desk.claim.parent or "")
    params = TrialParams.model_validate(desk.claim.params)
    if not studies.is_under_way(study.row):
        raise JobCancelled("The search has ended.")
    if params.axes is None:
        _stop_when_enough(desk, study)
        params = _draw(desk, study, params)
    if params.final:
        return _judge_again(desk, study, params)
    desk.rungs = _rungs(desk, study, params)
    try:
        ending, value = _try(desk, study, params)
    except GivenUp as given_up:
        said: Json = {"value": None, "metric": study.metric, "stopped_by": HALVING, "epochs": given_up.epochs}
        ending, value = Ending(lambda sql: said), None
    except JobFailed:
        _note(desk, study, params, value=None, is_given_up=False)
        raise
    _note(desk, study, params, value=value, is_given_up=value is None)
    return ending


def _judge_again(desk: Desk, study: Study, params: TrialParams) -> Ending:
    """A final. Raises JobCancelled where nothing is left to pay for it: then the best trial wins as it is."""
    if reason := out_of_budget(study):
        with desk.database.transaction() as sql:
            studies.stop(sql, study.row.id, reason)
        raise JobCancelled("The budget of the search is used up.")
    # What earlier attempts have used is in this one's own cost.
    budget = _left(study, besides=desk.claim.job_id)
    with desk.database.transaction() as sql:
        claims.draw(sql, desk.claim, params=params.as_json(), budget=budget)
    desk.claim = replace(desk.claim, budget=budget)
    return _try(desk, study, params)[0]


def _note(desk: Desk, study: Study, params: TrialParams, *, value: float | None, is_given_up: bool) -> None:
    seen = {} if desk.rungs is None else desk.rungs.seen
    ended = Tried(params.number, params.axes or {}, True, value, is_given_up, seen)
    notebook.write(desk.database, study.row.id, sampling.frozen(ended, study.draw), better=study.better)


def _draw(desk: Desk, study: Study, params: TrialParams) -> TrialParams:
    """Draw a point, and write it down: another attempt of the trial tries the same."""
    axes = sampling.ask(
        study.tried(), study.draw, sampler=study.asked.sampler, better=study.better,
        seed=study.asked.seed + params.number,
    )  # fmt: skip
    drawn = params.model_copy(update={"axes": axes})
    budget = _left(study)
    with desk.database.transaction() as sql:
        claims.draw(sql, desk.claim, params=drawn.as_json(), budget=budget)
    desk.claim = replace(desk.claim, params=drawn.as_json(), budget=budget)
    return drawn


def _left(study: Study, *, besides: str | None = None) -> Json:
    """Of each limit of the search's budget what its trials, those besides one, have not used yet."""
    # Never nothing: a trial that has begun comes to something.
    return {
        limit: max(granted - spent(study, limit, besides=besides), 1e-6) for limit, granted in study.row.budget.items()
    }


def _rungs(desk: Desk, study: Study, params: TrialParams) -> Rungs | None:
    halving = study.asked.halving
    if halving is None:
        return None

    def is_hopeless(seen: dict[int, float], least_epochs: int) -> bool:
        reached = {str(epoch): loss for epoch, loss in seen.items()}
        kept = TrialParams.model_validate(desk.claim.params).model_copy(update={"rungs": reached})
        with desk.database.transaction() as sql:
            claims.draw(sql, desk.claim, params=kept.as_json(), budget=desk.claim.budget)
        desk.claim = replace(desk.claim, params=kept.as_json())
        others = [each for each in open_study(desk, study.row.id).tried() if each.number != params.number]
        mine = Tried(params.number, params.axes or {}, has_ended=False, rungs=seen)
        return sampling.is_hopeless(
            [*others, mine], study.draw, params.number, halving=halving, least_epochs=least_epochs
        )

    return Rungs(halving, is_hopeless, seen={int(epoch): loss for epoch, loss in params.rungs.items()})


def _try(desk: Desk, study: Study, params: TrialParams) -> tuple[Ending, float]:
    """Learn at a point. Raises JobFailed where nothing can be learned there."""
    train = _training(desk, study, params)
    if isinstance(train, TableTraining):
        # The winner is judged beside simpler models, and explained, once it is published.
        train = train.model_copy(update=BARE)
    learned = pipeline.learn(desk, train)
    metrics = learned.version.metrics
    value = metrics.get("validation", {}).get(study.metric, {}).get("value")
    if value is None:
        why = f"The trial has no validation {study.metric} to compare: hold rows out, or search by another metric."
        raise JobFailed(why, code="metric_missing")
    said: Json = {
        "value": value, "metric": study.metric, "parameters": learned.version.parameters,
        "stopped_by": learned.said.get("stopped_by"), "epochs": learned.said.get("epochs"),
        "best_epoch": learned.said.get("best_epoch"),
        "metrics": {part: _values(metrics[part]) for part in PARTS if part in metrics},
    }  # fmt: skip
    return Ending(lambda sql: said, learned.version.files), value


def _values(metrics: Json) -> Json:
    return {name: each["value"] for name, each in metrics.items() if isinstance(each, dict) and "value" in each}


def _training(desk: Desk, study: Study, params: TrialParams) -> Any:  # Any: the kind's own TrainParams
    try:
        train = study.training(params)
        limits.refuse_giant(train, desk.dataset_rows(), desk.settings)
    except ValidationError as cause:
        said = f"No training has such params: {cause.errors()[0]['msg']}"
        raise JobFailed(said, code="point_invalid") from cause
    except RequestRefused as cause:
        raise JobFailed(cause.detail, code="point_invalid") from cause
    return train


def _stop_when_enough(desk: Desk, study: Study) -> None:
    """Let no further trial begin where the search has enough. Raises JobCancelled."""
    reason = enough(study)
    if reason is None:
        return
    with desk.database.transaction() as sql:
        studies.stop(sql, study.row.id, reason)
    raise JobCancelled("The search has enough.")
