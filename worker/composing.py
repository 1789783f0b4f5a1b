"""How a kind that composes learns from pieces and is judged, step by step; it composes in worker/generating.py."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from shared.errors import NotAllowedNow
from shared.gate import Measured
from shared.kinds.generation import EvaluateParams, GenerateParams, TrainParams, Trial
from shared.models import NewVersion
from worker import composers, consent_cells, consents, lineage, membership, piece_membership, promotion
from worker.cautions import Caution
from worker.desk import Desk
from worker.ending import Ending
from worker.fitted import Fitted
from worker.kinds.generation import compose, data, metrics, model
from worker.kinds.generation.compose import Composer
from worker.kinds.generation.data import Coding, Item, Prepared
from worker.learned import Learned
from worker.sequences import artifacts, training
from worker.sequences.artifacts import SequenceModel
from worker.symbolic import alike
from worker.symbolic.piece import Piece
from worker.symbolic.stored import Stored

Json = dict[str, Any]

# Pieces by which training and held-out music is described: more tell no more, and take minutes to search.
DESCRIBED = 400
# Of the trial's seeds: not those that a client is likely to ask for.
TRIAL_SEED = 1_000_000_007
KIND = "generation"


def learn(desk: Desk, params: TrainParams) -> Learned:
    """Learn a model from a dataset of pieces."""
    desk.enter("loading")
    row = desk.dataset_rows()[0]
    pieces, withheld = _consented(desk, row, data.load(desk.fetch_parts(row)))
    desk.enter("preparing")
    prepared = data.prepare(pieces, params)
    cautions = [caution.as_json() for caution in (*withheld, *prepared.cautions)]
    desk.warn(cautions)
    fitted = _fit(desk, prepared, params)
    learned = _model(prepared, params, fitted)
    said, baselines = _card(desk, learned, prepared, params)
    told = piece_membership.report(desk, learned, prepared, window=params.window)
    more = [caution.as_json() for caution in membership.cautions(told)]
    desk.warn(more)
    desk.enter("storing")
    form = data.form_of(prepared.coding).model_dump(mode="json")
    version = NewVersion(
        files=desk.put_all(artifacts.pack(learned)),
        metrics=said,
        baselines=baselines,
        warnings=[*cautions, *more],
        lineage={
            **lineage.of_training(desk.claim, row, params, prepared.split),
            "representation": form,
            "privacy": {"dp": "none", "membership": told},
        },
        parameters=sum(array.size for array in fitted.weights.values()),
    )
    ended = {"epochs": fitted.epochs, "best_epoch": fitted.best_epoch, "stopped_by": fitted.stopped_by}

    def measured() -> Measured | None:
        has_held_out = bool(prepared.validation)
        return promotion.measure_by(
            desk, version, lambda rival: _judge_rival(desk, rival, pieces, prepared), has_held_out=has_held_out
        )

    return Learned(version, ended, measured)


def _consented(desk: Desk, row: Row[Any], pieces: list[Stored]) -> tuple[list[Stored], list[Caution]]:
    """Without the pieces that may not be learned from. Raises JobFailed (rights_exclude_all)."""
    keys = consents.look(desk, [row])
    kept = [piece for piece in pieces if piece.key not in keys]
    consents.note_withheld(desk, row.id, len(pieces) - len(kept))
    if not kept:
        raise consent_cells.all_withheld()
    return kept, consent_cells.cautions(len(pieces) - len(kept), "pieces")


def _fit(desk: Desk, prepared: Prepared, params: TrainParams) -> Fitted:
    if desk.given is not None:
        return desk.given
    desk.enter("training")
    return training.fit(
        model.describe(prepared.coding, params),
        params,
        epoch=prepared.epoch,
        epochs=params.epochs_of(prepared.steps),
        validation=data.steps_of(prepared.coding, prepared.validation, is_told=False),
        watch=desk,
        checkpoint=desk.checkpoints.last(desk),
    )


def _model(prepared: Prepared, params: TrainParams, fitted: Fitted) -> SequenceModel:
    target = {
        "coding": prepared.coding.model_dump(mode="json"),
        "usual": compose.usual(prepared.train, prepared.coding).model_dump(mode="json"),
    }
    return SequenceModel(KIND, model.describe(prepared.coding, params), fitted.weights, target)


def _card(desk: Desk, learned: SequenceModel, prepared: Prepared, params: TrainParams) -> tuple[Json, Json]:
    """The metrics of a version and of its baselines: how well it foretells, what its music is like, what it copied."""
    desk.enter("evaluating")
    part, held_out = ("validation", prepared.validation) if prepared.validation else ("training", prepared.train)
    judged = _judge(desk, learned, prepared.coding, held_out, window=params.window)
    both = (data.steps_of(prepared.coding, each, is_told=False) for each in (prepared.train, held_out))
    baselines = metrics.baselines(prepared.coding, *both)
    desk.enter("composing")
    music = _try(desk, learned, params.trial, prepared.train, prepared.validation, seed=params.seed)
    return {part: judged, **music}, {part: baselines}


def _judge(desk: Desk, learned: SequenceModel, coding: Coding, held_out: Sequence[Item], *, window: int = 128) -> Json:
    desk.check()
    plain, told = (
        metrics.foretell(
            learned.network, learned.weights, data.steps_of(coding, held_out, is_told=is_told), window=window
        )
        for is_told in (False, True)
    )
    return metrics.evaluate(coding, plain, told)


def _judge_rival(desk: Desk, rival: Row[Any], pieces: Sequence[Stored], prepared: Prepared) -> Measured:
    """What another version comes to on the pieces that this training has held out. Raises NotAllowedNow."""
    other = composers.unpack(desk, rival)
    coding = data.read_coding(other.target["coding"])
    if data.form_of(coding) != data.form_of(prepared.coding):
        raise NotAllowedNow("it learned another form of the music, whose likelihoods mean something else.")
    held_out = {item.row for item in prepared.validation}
    items, left_out = data.items_known([piece for piece in pieces if piece.row in held_out], coding)
    if left_out:
        raise NotAllowedNow("it does not know every pitch of the piece.")
    return promotion.measured(desk, rival, _judge(desk, other, coding, items), rows=len(items))


def _try(
    desk: Desk,
    learned: SequenceModel,
    trial: Trial,
    train: Sequence[Item] | None,
    held_out: Sequence[Item],
    *,
    seed: int,
) -> Json:
    """What the model composes by itself, beside what it has learned from and what was held out; and what it copied.

    Of a training set that was erased (None) neither can be told.
    """
    if not trial.pieces:
        return {}
    composer = Composer.of(learned)
    asked = GenerateParams(bars=composer.bars_at_most(trial.bars), pieces=trial.pieces)
    seeds = [(TRIAL_SEED, seed, number) for number in range(trial.pieces)]
    made = composer.compose(composer.brief(asked, None), asked, seeds=seeds, check=desk.check)
    sets = {
        "generated": ([each.work for each in made], [each.piece for each in made]),
        "training": _both((train or [])[:DESCRIBED]),
        "held_out": _both(held_out[:DESCRIBED]),
    }
    described = {}
    for name, (works, pieces) in sets.items():
        desk.check()
        described[name] = metrics.describe(works, pieces)
    music: Json = {"pieces": trial.pieces, "bars": asked.bars, **metrics.compare(described)}
    if train is None:
        return {"music": music}
    known = metrics.corpus(train)
    desk.check()
    copies = {
        "generated": metrics.copied(known, *sets["generated"]),
        # How much music of the same kind has in common with the training set anyway.
        "held_out": metrics.copied(known, *sets["held_out"]),
    }
    return {"music": music, "copies": copies}


def _both(items: Sequence[Item]) -> tuple[list[Any], list[Piece]]:
    return [item.work for item in items], [item.piece for item in items]


def evaluate(desk: Desk) -> Ending:
    """What a model version comes to on the pieces of a dataset."""
    params = EvaluateParams.model_validate(desk.claim.params)
    desk.enter("loading")
    row = desk.dataset_rows()[0]
    version = composers.version_of(desk)
    learned = composers.unpack(desk, version)
    coding = data.read_coding(learned.target["coding"])
    items, left_out = data.items_known(data.load(desk.fetch_parts(row)), coding)
    desk.enter("evaluating")
    train = composers.trained_on(desk, version, coding)
    judged = _judge(desk, learned, coding, items)
    desk.enter("composing")
    music = _try(desk, learned, params.trial, train, items, seed=params.seed)
    warnings = [composers.unknown()] if train is None else _trained_on_as_well(items, train)
    desk.warn(warnings)
    said: Json = {
        "model": f"{version.name}@{version.number}",
        "metrics": {"evaluation": judged, **music},
        "pieces": len(items),
        "left_out": [each.key for each in left_out],
        "warnings": warnings,
        "lineage": lineage.of_scoring(version, [row]),
    }
    return Ending(lambda sql: said)


def _trained_on_as_well(items: Sequence[Item], train: Sequence[Item]) -> list[Json]:
    """A warning where pieces that are judged, or the same music in another key, were learned from."""
    found = alike.find([item.piece for item in (*train, *items)])[len(train) :]
    firsts = [[row for row in each[:2] if row is not None] for each in found]
    count = sum(any(row < len(train) for row in rows) for rows in firsts)
    if not count:
        return []
    said = f"{count} of {len(items)} pieces were learned from, be it in another key: the model knows them by heart."
    return [{"code": "leakage_suspected", "detail": said}]
