"""What a version that recommends comes to: beside what it was compared with, for new items, against the champion."""

from typing import Any

import numpy as np
from sqlalchemy import Row

from shared import models
from shared.gate import Measured
from shared.kinds.recommendation import Method, TrainParams
from worker import model_search, promotion
from worker.desk import Desk
from worker.kinds.recommendation import metrics
from worker.kinds.recommendation.data import Prepared
from worker.kinds.recommendation.metrics import Judged
from worker.kinds.recommendation.model import Candidate
from worker.recommenders import likeness

Json = dict[str, Any]


def write(
    desk: Desk, prepared: Prepared, params: TrainParams, chosen: Json, judged: dict[Method, Judged]
) -> tuple[Json, Json]:
    """The metrics of the chosen one and of those it was compared with, on the same listeners."""
    candidate = Candidate(chosen["model"], chosen["settings"])
    ours, test = judged[candidate.method], prepared.split.test
    vectors, users = likeness.vectors(test.train, prepared.features), int((test.train.lengths > 0).sum())
    lists = metrics.describe(
        ours, test.train.listeners, users=users, given=test.given, catalogue=prepared.catalogue, vectors=vectors
    )
    said: Json = {
        "validation": {params.metric: {"value": chosen["value"], "interval": None}},
        "test": metrics.tell(ours, seed=params.seed),
        "lists": lists,
    }
    beside = {
        "new_items": _judge_new(desk, prepared, params, candidate),
        "champion": _judge_champion(desk, prepared, params, ours),
    }
    said |= {name: each for name, each in beside.items() if each is not None}
    baselines: Json = {}
    for method, theirs in judged.items():
        if method != candidate.method:
            against = metrics.compare(ours, theirs, params.metric, seed=params.seed)
            baselines[method] = {**metrics.tell(theirs, seed=params.seed), "compared": against}
    return said, {"test": baselines}


def _judge_new(desk: Desk, prepared: Prepared, params: TrainParams, candidate: Candidate) -> Json | None:
    """Hold some items out whole, learn without them, and see whether their listeners find them by content."""
    if prepared.features is None or params.content is None or not params.content.held_out:
        return None
    plays = prepared.everything
    can_be = np.flatnonzero((plays.listeners > 0) & (np.diff(prepared.features.indptr) > 0))
    count = round(params.content.held_out * len(can_be))
    if count < 2:
        return None
    cold = np.sort(np.random.default_rng(params.seed).choice(can_be, count, replace=False))
    is_cold = np.zeros(plays.count, bool)
    is_cold[cold] = True
    warm = plays.only(~is_cold[plays.items])
    return metrics.judge_new(model_search.fit(desk, candidate, warm, prepared, params), plays, cold)


def _judge_champion(desk: Desk, prepared: Prepared, params: TrainParams, ours: Judged) -> Json | None:
    """The difference to the champion on the same listeners, whatever is asked of it; None where there is none."""
    with desk.database.reading() as sql:
        champion = models.at_alias(sql, desk.claim.tenant, desk.claim.model or "", models.CHAMPION)
    if champion is None:
        return None
    try:
        theirs = _judge_recipe(desk, champion, prepared)
    except (KeyError, TypeError, ValueError):
        reason = "it is of another kind, or its settings are those of another release."
        return {"version": champion.number, "reason": reason}
    value = theirs.mean(params.metric)
    return {
        "version": champion.number, "value": value, **metrics.compare(ours, theirs, params.metric, seed=params.seed)
    }  # fmt: skip


def _judge_recipe(desk: Desk, version: Row[Any], prepared: Prepared) -> Judged:
    """What another version's model comes to with its settings, learned from what ours was learned from.

    What it knows itself may hold what is hidden here, for a version learns from everything once it is judged.
    """
    params = TrainParams.model_validate(version.lineage["params"])
    return model_search.judge(desk, version.lineage["chosen"], prepared.split.test, prepared, params)


def judge_rival(desk: Desk, rival: Row[Any], prepared: Prepared) -> Measured:
    told = metrics.tell(_judge_recipe(desk, rival, prepared), seed=0)
    return promotion.measured(desk, rival, told, rows=len(prepared.split.test.users))
