"""Training on plays: candidates compared on the same split, the best judged once more, learned anew and kept."""

from typing import Any

import numpy as np
from sqlalchemy import Row

from shared import datasets, models
from shared.gate import Measured
from shared.kinds.recommendation import EvaluateParams, ScoreParams, TrainParams
from shared.models import NewVersion
from worker import (
    consents,
    item_embeddings,
    lineage,
    listener_membership,
    membership,
    model_search,
    promotion,
    recommender_card,
)
from worker.desk import Desk
from worker.ending import Ending
from worker.interactions.stored import Interactions
from worker.kinds.recommendation import data, metrics, model
from worker.kinds.recommendation.data import Prepared
from worker.kinds.recommendation.model import Candidate
from worker.kinds.recommendation.predict import ListScoring
from worker.learned import Learned
from worker.model_search import Board
from worker.private import statement
from worker.recommenders import artifacts, towers_private
from worker.recommenders.artifacts import RecommenderModel
from worker.recommenders.histories import Histories
from worker.recommenders.recommender import Recommender
from worker.recommenders.splits import Split
from worker.recommenders.towers import Towers

Json = dict[str, Any]

KIND = "recommendation"
OWN_HISTORY = "of each listener by their own history: how much a play counts beside their other plays"
OF_LISTENERS = (
    "which items there are, and what their table says, which is taken as public",
    "the trainings on a part of the same plays from which the figures come, of which nothing else is kept",
)


def learn(desk: Desk, params: TrainParams) -> Learned:
    """Learn a model from plays."""
    params = model.settled(params)
    desk.enter("loading")
    row, *beside = desk.dataset_rows()
    withheld = consents.look(desk, [row, *beside])
    plays = data.load(desk.fetch_parts(row))
    heard = item_embeddings.embeddings(desk, beside, plays.items, withheld) if beside else None
    desk.enter("preparing")
    prepared = data.prepare(plays, params, heard=heard)
    warnings = [caution.as_json() for caution in prepared.cautions]
    desk.warn(warnings)
    board = model_search.choose(desk, prepared, params)
    chosen = _chosen(board, params)
    desk.enter("evaluating")
    judged = {
        method: model_search.judge(desk, board.best(method), prepared.split.test, prepared, params)
        for method in board.methods()
    }
    candidate = Candidate(chosen["model"], chosen["settings"])
    said, baselines = recommender_card.write(desk, prepared, params, chosen, judged)
    desk.enter("training")
    known = prepared.everything if params.refit else prepared.split.test.train
    fitted = model_search.fit(desk, candidate, known, prepared, params)
    learned = _finished(desk, fitted, candidate, known, prepared, params)
    privacy = _privacy(desk, candidate, known, prepared, params)
    more = [caution.as_json() for caution in membership.cautions(privacy["membership"])]
    desk.warn(more)
    desk.enter("storing")
    files = desk.put_all(artifacts.pack(KIND, learned, _target(row)))
    version = NewVersion(
        files=files,
        metrics=said,
        baselines=baselines,
        warnings=[*warnings, *more],
        lineage={**lineage.of_training(desk.claim, row, params, _split(prepared)), "chosen": chosen,
                 "privacy": privacy,
                 "learned_until": _until(plays, prepared.split, is_refitted=params.refit),
                 **({"beside": [lineage.of_dataset(each) for each in beside]} if beside else {})},
        parameters=sum(array.size for array in learned.model.describe()[1].values()),
    )  # fmt: skip
    told = {"chosen": chosen, "compared": board.tried, "stopped_by": board.stopped_by}

    def measured() -> Measured | None:
        return promotion.measure_by(
            desk, version, lambda rival: recommender_card.judge_rival(desk, rival, prepared), has_held_out=True
        )

    # Where a listener was erased meanwhile, what was learned has learned from them.
    return Learned(version, told, measured, demand_unchanged=lambda sql: datasets.demand_unchanged(sql, row))


def _finished(
    desk: Desk, fitted: Recommender, candidate: Candidate, known: Histories, prepared: Prepared, params: TrainParams
) -> RecommenderModel:
    items = prepared.plays.items
    if params.privacy is not None:
        assert isinstance(fitted, Towers)
        return model.finish_private(fitted, int(np.count_nonzero(known.lengths)), items, prepared.catalogue)
    fallback = model_search.fit(desk, Candidate("popularity", candidate.settings), known, prepared, params)
    return model.finish(fitted, known, items, prepared.catalogue, prepared.features, fallback)


def _privacy(desk: Desk, candidate: Candidate, known: Histories, prepared: Prepared, params: TrainParams) -> Json:
    """What the version says of what it gives away of those that it has learned from."""
    told = listener_membership.report(desk, candidate, known, prepared, params)
    if params.privacy is None:
        return {"dp": "none", "membership": told}
    plan = towers_private.plan(known, params)
    dp = statement.tell_steps(
        params.privacy, plan, epochs=plan.epochs, preprocessing=OWN_HISTORY, not_counted=OF_LISTENERS
    )
    return {"dp": dp, "membership": told}


def _chosen(board: Board, params: TrainParams) -> Json:
    """What is kept: the best of all, or of the model that was named, unless the client had enough before it came."""
    best = board.best(None if params.model == "auto" else params.model) or board.best()
    assert best is not None
    return best


def _split(prepared: Prepared) -> Json:
    split = prepared.split
    counts = {
        part: {
            "listeners": len(task.users), "learned_pairs": len(task.train.items), "hidden_pairs": len(task.hidden.items)
        }
        for part, task in (("validation", split.validation), ("test", split.test))
    }  # fmt: skip
    return {"by": split.way, "cuts": split.cuts, **counts, "left_out": prepared.left_out}


def _target(row: Row[Any]) -> Json:
    return {"roles": row.profile["roles"]}


def _until(plays: Interactions, split: Split, *, is_refitted: bool) -> float | None:
    """The moment of the last event that was learned from, seconds since 1970; None where that is not known."""
    if plays.time is None or not len(plays.time):
        return None
    if is_refitted:
        return float(plays.time.max())
    return None if split.cuts is None else split.cuts[1]


def evaluate(desk: Desk) -> Ending:
    """What a version comes to on events that came after those which it has learned from."""
    params = EvaluateParams.model_validate(desk.claim.params)
    desk.enter("loading")
    row = desk.dataset_rows()[0]
    with desk.database.reading() as sql:
        version = models.find_by_id(sql, desk.claim.version or "")
    learned, plays = _unpack(desk, version), data.load(desk.fetch_parts(row))
    desk.enter("evaluating")
    task, warnings = data.later(plays, version.lineage.get("learned_until"), seed=params.seed)
    desk.warn(warnings)
    judged, given = metrics.judge_stored(learned, plays, task, check=desk.check)
    lists = metrics.describe(
        judged, learned.listeners, users=learned.users, given=given, catalogue=learned.catalogue,
        vectors=learned.vectors,
    )  # fmt: skip
    said: Json = {
        "model": f"{version.name}@{version.number}",
        "metrics": {"evaluation": metrics.tell(judged, seed=params.seed), "lists": lists},
        "listeners": len(task.users),
        "warnings": warnings,
        "lineage": lineage.of_scoring(version, [row]),
    }
    return Ending(lambda sql: said)


def open_scoring(desk: Desk, row: Row[Any], params: ScoreParams) -> ListScoring:
    """The model of the job and the listeners of its dataset."""
    with desk.database.reading() as sql:
        version = models.find_by_id(sql, desk.claim.version or "")
    return ListScoring(_unpack(desk, version), data.load(desk.fetch_parts(row)), params)


def _unpack(desk: Desk, version: Row[Any]) -> RecommenderModel:
    return artifacts.unpack({file["name"]: desk.get(file["key"], sha256=file["sha256"]) for file in version.files})
