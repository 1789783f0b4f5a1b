"""Training on plays: candidates compared on the same split, the best judged once more, learned anew and kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row

from shared import datasets, models
from shared.errors import TryAgain
from shared.gate import Measured
from shared.kinds.recommendation import EvaluateParams, Method, ScoreParams, TrainParams
from shared.models import NewVersion
from worker import item_embeddings, lineage, promotion
from worker.callbacks import Checkpoint, asked_to_end
from worker.desk import Desk
from worker.ending import Ending
from worker.interactions.stored import Interactions
from worker.kinds.recommendation import data, metrics, model
from worker.kinds.recommendation.data import Prepared
from worker.kinds.recommendation.metrics import Judged
from worker.kinds.recommendation.model import Candidate
from worker.kinds.recommendation.predict import ListScoring
from worker.recommenders import artifacts, newcomers
from worker.recommenders.artifacts import RecommenderModel
from worker.recommenders.recommender import Recommender
from worker.recommenders.splits import Split, Task

Json = dict[str, Any]

KIND = "recommendation"


@dataclass
class Board:
    """How far choosing is: what each candidate that was tried came to on validation."""

    tried: list[Json] = field(default_factory=list)
    stopped_by: str | None = None

    def best(self, method: Method | None = None) -> Json | None:
        """The first of the best, of a method or of all."""
        known = [each for each in self.tried if method in (None, each["model"])]
        return max(known, key=lambda each: each["value"], default=None)

    def methods(self) -> list[Method]:
        return list(dict.fromkeys(each["model"] for each in self.tried))


def train(desk: Desk) -> Ending:
    """Learn a model version from plays."""
    params = TrainParams.model_validate(desk.claim.params)
    desk.enter("loading")
    row, *beside = desk.dataset_rows()
    plays = data.load(desk.fetch_parts(row))
    heard = item_embeddings.embeddings(desk, beside, plays.items) if beside else None
    desk.enter("preparing")
    prepared = data.prepare(plays, params, heard=heard)
    warnings = [caution.as_json() for caution in prepared.cautions]
    desk.warn(warnings)
    board = _choose(desk, prepared, params)
    chosen = board.best()
    assert chosen is not None
    desk.enter("evaluating")
    judged = {method: _judge(desk, board.best(method), prepared.split.test) for method in board.methods()}
    candidate = Candidate(chosen["model"], chosen["settings"])
    desk.enter("training")
    known = prepared.everything if params.refit else prepared.split.test.train
    learned = model.finish(_fit(desk, candidate, known), known, plays.items, prepared.catalogue, prepared.features)
    desk.enter("storing")
    said, baselines = _card(desk, prepared, params, board, judged, candidate, learned)
    files = [desk.put(name, content) for name, content in artifacts.pack(KIND, learned, _target(row)).items()]
    version = NewVersion(
        files=files,
        metrics=said,
        baselines=baselines,
        warnings=warnings,
        lineage={**lineage.of_training(desk.claim, row, params, _split(prepared)), "chosen": chosen,
                 "learned_until": _until(plays, prepared.split, is_refitted=params.refit),
                 **({"beside": [lineage.of_dataset(each) for each in beside]} if beside else {})},
        parameters=sum(array.size for array in learned.model.describe()[1].values()),
    )  # fmt: skip
    measured = promotion.measure_by(desk, version, lambda rival: _judge_rival(desk, rival, prepared), has_held_out=True)

    def record(sql: Connection) -> Json:
        _demand_same(sql, desk, [row, *beside])
        made = models.record(sql, desk.claim, version)
        promoted = promotion.settle(sql, desk, made["version"], version, measured)
        told = {"chosen": chosen, "compared": board.tried, "stopped_by": board.stopped_by}
        return {**made, **told, "metrics": said, "baselines": baselines, "warnings": warnings, **promoted}

    return Ending(record)


def _demand_same(sql: Connection, desk: Desk, rows: Sequence[Row[Any]]) -> None:
    """Raise TryAgain where a listener was erased meanwhile: what was learned has learned from them."""
    for row in rows:
        if datasets.find(sql, desk.claim.tenant, row.id).sha256 != row.sha256:
            raise TryAgain("Events were erased while the training ran: it begins anew.", code="dataset_changed")


def _choose(desk: Desk, prepared: Prepared, params: TrainParams) -> Board:
    """Try every candidate on validation, or those for which there is time."""
    desk.enter("choosing")
    wanted = [each for method in model.methods(params) for each in model.candidates(params, method)]
    board = Board()
    last = desk.checkpoints.last(desk)
    if last is not None:
        board.tried = list(last.state["tried"])
    for candidate in wanted[len(board.tried) :]:
        task = prepared.split.validation
        judged = metrics.judge(_fit(desk, candidate, task.train), task, check=desk.check)
        value = judged.mean(params.metric)
        figures = {"model": candidate.method, "settings": candidate.settings, "metric": params.metric, "value": value}
        board.tried.append(figures)
        best = board.best()
        assert best is not None
        desk.report_models(len(board.tried), len(wanted), metrics={params.metric: value, "best": best["value"]})
        if desk.is_checkpoint_due():
            desk.save(Checkpoint(len(board.tried), {"none": np.zeros(1, np.float32)}, {"tried": board.tried}))
        board.stopped_by = asked_to_end(desk)
        if board.stopped_by is not None:
            break
    return board


def _fit(desk: Desk, candidate: Candidate, given: Any) -> Recommender:
    def told(share: float) -> None:
        desk.check()
        desk.heart.move()

    return model.fit(candidate, given, told=told)


def _judge(desk: Desk, best: Json | None, task: Task) -> Judged:
    assert best is not None
    return metrics.judge(_fit(desk, Candidate(best["model"], best["settings"]), task.train), task, check=desk.check)


def _card(
    desk: Desk,
    prepared: Prepared,
    params: TrainParams,
    board: Board,
    judged: dict[Method, Judged],
    candidate: Candidate,
    learned: RecommenderModel,
) -> tuple[Json, Json]:
    """The metrics of a version and of those it was compared with, on the same listeners."""
    ours, test = judged[candidate.method], prepared.split.test
    said: Json = {
        "validation": {params.metric: {"value": (board.best() or {})["value"], "interval": None}},
        "test": metrics.tell(ours, seed=params.seed),
        "lists": metrics.describe(
            ours,
            test.train.listeners,
            int((test.train.lengths > 0).sum()),
            test.given,
            prepared.catalogue,
            learned.vectors,
        ),
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
    fitted = newcomers.extend(_fit(desk, candidate, warm), prepared.features)
    return metrics.judge_new(fitted, plays, cold)


def _judge_champion(desk: Desk, prepared: Prepared, params: TrainParams, ours: Judged) -> Json | None:
    """The difference to the champion on the same listeners, whatever is asked of it; None where there is none."""
    with desk.database.reading() as sql:
        champion = models.at_alias(sql, desk.claim.tenant, desk.claim.model or "", models.CHAMPION)
    if champion is None:
        return None
    theirs = _judge_recipe(desk, champion, prepared)
    value = theirs.mean(params.metric)
    return {
        "version": champion.number, "value": value, **metrics.compare(ours, theirs, params.metric, seed=params.seed)
    }  # fmt: skip


def _judge_recipe(desk: Desk, version: Row[Any], prepared: Prepared) -> Judged:
    """What another version's model comes to with its settings, learned from what ours was learned from.

    What it knows itself may hold what is hidden here, for a version learns from everything once it is judged.
    """
    chosen = version.lineage["chosen"]
    task = prepared.split.test
    return metrics.judge(_fit(desk, Candidate(chosen["model"], chosen["settings"]), task.train), task, check=desk.check)


def _judge_rival(desk: Desk, rival: Row[Any], prepared: Prepared) -> Measured:
    told = metrics.tell(_judge_recipe(desk, rival, prepared), seed=0)
    return promotion.measured(desk, rival, told, rows=len(prepared.split.test.users))


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
    users = int((task.train.lengths > 0).sum())
    lists = metrics.describe(judged, learned.listeners, users, given, learned.catalogue, learned.vectors)
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
