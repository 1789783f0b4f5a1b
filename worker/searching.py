"""A search for settings: it makes its trials and is parked; any workers try them; at the end the best is published.

Only a worker with TensorFlow loads this.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from shared import claims, studies, tuning
from shared.errors import JobFailed
from shared.jobs import ENDED
from shared.tuning_params import TrialParams
from worker import pipeline
from worker.desk import Desk
from worker.ending import Ending
from worker.fitted import Fitted
from worker.learned import publish
from worker.model_files import WEIGHTS
from worker.study import Study, is_final, open_study, out_of_budget, spent

Json = dict[str, Any]


def tune(desk: Desk) -> Ending:
    """Make the trials and leave; come back when they have ended, and publish the best."""
    study = open_study(desk, desk.claim.job_id)
    is_told_to_end = study.row.keep is not None
    if not is_told_to_end:
        desk.enter("planning")
        _plan(desk, study)
        study = open_study(desk, desk.claim.job_id)
        if any(trial.state not in ENDED for trial in study.trials) or _has_finals(desk, study):
            return Ending(lambda sql: {}, is_parked=True)
    desk.heart.is_enough = is_told_to_end
    desk.enter("choosing")
    return _publish(desk, study, is_told_to_end=is_told_to_end)


def _plan(desk: Desk, study: Study) -> None:
    expected_s = study.row.expected_s
    with desk.database.transaction() as sql:
        claims.hold(sql, desk.claim)
        new = studies.submit_trials(sql, desk.claim, count=study.asked.trials, expected_s=expected_s)
    if new:
        desk.ring(new)


def _has_finals(desk: Desk, study: Study) -> bool:
    """Whether the best points are to be judged once more, in folds: then they are submitted, and were not before."""
    count = tuning.finalists(study.asked, desk.dataset_rows()[0])
    points = _unlike(trial.params["axes"] for trial in study.best_first(study.drawn))[:count]
    if not points or out_of_budget(study):
        return False
    # The training without the space among them: the winner is not worse than that by what finals tell.
    points = _unlike([*points, {}])
    with desk.database.transaction() as sql:
        claims.hold(sql, desk.claim)
        new = studies.submit_finals(sql, desk.claim, points, expected_s=study.row.expected_s * (tuning.FOLDS + 1))
    if new:
        desk.ring(new)
    return new > 0


def _unlike(points: Iterable[Json]) -> list[Json]:
    """Each point once, where it stands first: a small space is soon drawn twice."""
    return list({json.dumps(axes, sort_keys=True): axes for axes in reversed(list(points))}.values())[::-1]


def _publish(desk: Desk, study: Study, *, is_told_to_end: bool) -> Ending:
    best = study.best()
    if best is None:
        raise _nothing_found(study)
    params = study.training(TrialParams.model_validate(best.params))
    # Of what is told to end, or has used up what it was granted, nothing is trained once more.
    if study.asked.winner == "retrain" and not is_told_to_end and not out_of_budget(study):
        params = _on_more_rows(params, best.result)
    else:
        desk.given = _fitted(desk, best)
    learned = pipeline.learn(desk, params)
    said = _said(desk, study, best)
    version = replace(learned.version, lineage={**learned.version.lineage, "search": said})
    summary = {name: said[name] for name in ("metric", "better", "trials_run", "winner", "stopped")}
    return publish(desk, replace(learned, version=version), search=summary)


def _on_more_rows(params: Any, result: Json) -> Any:  # Any: the kind's own TrainParams
    """The winner's params on the validation rows as well, for as many epochs as were best with these held out.

    Where no test would be left to judge it, or folds have had all rows already, they stay as they are.
    """
    epochs = result.get("best_epoch") or result.get("epochs")
    if getattr(params, "held_out_test", None) is None or params.folds is not None or not epochs:
        return params
    return params.model_copy(update={"validation_split": 0.0, "epochs": epochs, "early_stopping": False})


def _nothing_found(study: Study) -> JobFailed:
    errors = [trial.error for trial in study.trials if trial.error]
    why = f" The first of them: {errors[0]['detail']}" if errors else ""
    said = f"None of the {len(study.trials)} trials came to a value.{why}"
    return JobFailed(said, code="no_trial_succeeded")


def _fitted(desk: Desk, best: Row[Any]) -> Fitted | None:
    """The winner's weights as its trial has left them; None where the kind keeps them otherwise."""
    with desk.database.reading() as sql:
        files = {file.name: file for file in studies.list_files(sql, best.id)}
    if WEIGHTS not in files or "epochs" not in best.result:
        return None
    weights = pipeline.read_weights(desk.get(files[WEIGHTS].key, sha256=files[WEIGHTS].sha256))
    return Fitted(weights, [], best.result["epochs"], best.result["best_epoch"], best.result["stopped_by"])


def _said(desk: Desk, study: Study, best: Row[Any]) -> Json:
    """The whole study, for the version's lineage."""
    with desk.database.reading() as sql:
        stopped = studies.why_stopped(sql, study.row.id)
    asked = study.row.params
    return {
        "job": study.row.id, "metric": study.metric, "better": study.better,
        "space": {path: each.model_dump(mode="json", exclude_unset=True) for path, each in study.asked.space.items()},
        "sampler": study.asked.sampler, "seed": study.asked.seed, "asked": asked, "stopped": stopped,
        "trials_run": len(study.tried()), "winner": best.params["number"],
        "compute_s": round(spent(study, "compute_seconds"), 3),
        "trials": [_line(trial) for trial in study.trials if trial.params.get("axes") is not None],
    }  # fmt: skip


def _line(trial: Row[Any]) -> Json:
    result = trial.result or {}
    return {
        "number": trial.params["number"], "job": trial.id, "state": trial.state, "axes": trial.params["axes"],
        "final": is_final(trial), "value": result.get("value"), "epochs": result.get("epochs"),
        "stopped_by": result.get("stopped_by"), "error": (trial.error or {}).get("code"),
        "compute_s": (trial.cost or {}).get("compute_s"),
    }  # fmt: skip
