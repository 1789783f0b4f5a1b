"""What a kind that composes does, step by step: learns from pieces, judges, composes. The steps are elsewhere."""

import base64
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from shared import datasets, history, models
from shared.errors import Fault, JobFailed, NotAllowedNow, NotFound
from shared.gate import Measured
from shared.kinds.generation import EvaluateParams, GenerateParams, TrainParams, Trial
from shared.models import NewVersion
from worker import lineage, piece_files, promotion, symbolic_reading
from worker.desk import Desk
from worker.ending import Ending
from worker.ingest import UploadedFile
from worker.kinds.generation import compose, data, metrics, model
from worker.kinds.generation.briefs import Brief
from worker.kinds.generation.compose import Composer, Made
from worker.kinds.generation.data import Coding, Item, Prepared
from worker.sequences import artifacts, training
from worker.sequences.artifacts import SequenceModel
from worker.symbolic import stored
from worker.symbolic.copies import Corpus
from worker.symbolic.piece import Piece
from worker.symbolic.stored import Stored

Json = dict[str, Any]

# Pieces by which training and held-out music is described: more tell no more, and take minutes to search.
DESCRIBED = 400
# Of the trial's seeds: not those that a client is likely to ask for.
TRIAL_SEED = 1_000_000_007
KIND = "generation"


def train(desk: Desk) -> Ending:
    """Learn a model version from a dataset of pieces."""
    params = TrainParams.model_validate(desk.claim.params)
    desk.enter("loading")
    row = desk.dataset_rows()[0]
    pieces = data.load(desk.fetch_parts(row))
    desk.enter("preparing")
    prepared = data.prepare(pieces, params)
    cautions = [caution.as_json() for caution in prepared.cautions]
    desk.warn(cautions)
    network = model.describe(prepared.coding, params)
    desk.enter("training")
    fitted = training.fit(
        network,
        params,
        epoch=prepared.epoch,
        epochs=params.epochs_of(prepared.steps),
        validation=data.steps_of(prepared.coding, prepared.validation, is_told=False),
        watch=desk,
        checkpoint=desk.checkpoints.last(desk),
    )
    desk.enter("evaluating")
    target = {
        "coding": prepared.coding.model_dump(mode="json"),
        "usual": compose.usual(prepared.train, prepared.coding).model_dump(mode="json"),
    }
    learned = SequenceModel(KIND, network, fitted.weights, target)
    held_out = prepared.validation or prepared.train
    part = "validation" if prepared.validation else "training"
    judged = _judge(desk, learned, prepared.coding, held_out, window=params.window)
    baselines = metrics.baselines(
        prepared.coding, *(data.steps_of(prepared.coding, each, is_told=False) for each in (prepared.train, held_out))
    )
    desk.enter("composing")
    music = _try(desk, learned, params.trial, prepared.train, prepared.validation, seed=params.seed)
    desk.enter("storing")
    said = {part: judged, **music}
    version = NewVersion(
        files=[desk.put(name, content) for name, content in artifacts.pack(learned).items()],
        metrics=said,
        baselines={part: baselines},
        warnings=cautions,
        lineage=lineage.of_training(desk.claim, row, params, prepared.split),
        parameters=sum(array.size for array in fitted.weights.values()),
    )
    measured = promotion.measure_by(
        desk, version, lambda rival: _judge_rival(desk, rival, pieces, prepared), has_held_out=bool(prepared.validation)
    )
    ended = {"epochs": fitted.epochs, "best_epoch": fitted.best_epoch, "stopped_by": fitted.stopped_by}

    def record(sql: Connection) -> Json:
        made = models.record(sql, desk.claim, version)
        promoted = promotion.settle(sql, desk, made["version"], version, measured)
        return {**made, **ended, "metrics": said, "baselines": version.baselines, "warnings": cautions, **promoted}

    return Ending(record)


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
    other = _unpack(desk, rival)
    coding = data.read_coding(other.target["coding"])
    if data.form_of(coding) != data.form_of(prepared.coding):
        raise NotAllowedNow("it learned another form of the music, whose likelihoods mean something else.")
    held_out = {item.row for item in prepared.validation}
    items, left_out = data.items_known([piece for piece in pieces if piece.row in held_out], coding)
    if left_out:
        raise NotAllowedNow(f"it does not know every pitch of {left_out[0].key}.")
    return promotion.measured(desk, rival, _judge(desk, other, coding, items), rows=len(items))


def _try(
    desk: Desk, learned: SequenceModel, trial: Trial, train: Sequence[Item], held_out: Sequence[Item], *, seed: int
) -> Json:
    """What the model composes by itself, beside what it has learned from and what was held out; and what it copied."""
    if not trial.pieces:
        return {}
    composer = Composer.of(learned)
    asked = GenerateParams(bars=trial.bars, pieces=trial.pieces)
    seeds = [(TRIAL_SEED, seed, number) for number in range(trial.pieces)]
    made = composer.compose(composer.brief(asked, None), asked, seeds=seeds, check=desk.check)
    sets = {
        "generated": ([each.work for each in made], [each.piece for each in made]),
        "training": _both(train[:DESCRIBED]),
        "held_out": _both(held_out[:DESCRIBED]),
    }
    described = {}
    for name, (works, pieces) in sets.items():
        desk.check()
        described[name] = metrics.describe(works, pieces)
    known = metrics.corpus(train)
    desk.check()
    copies = {
        "generated": metrics.copied(known, *sets["generated"]),
        # How much music of the same kind has in common with the training set anyway.
        "held_out": metrics.copied(known, *sets["held_out"]),
    }
    music = {"pieces": trial.pieces, "bars": trial.bars, **metrics.compare(described)}
    return {"music": music, "copies": copies}


def _both(items: Sequence[Item]) -> tuple[list[Any], list[Piece]]:
    return [item.work for item in items], [item.piece for item in items]


def evaluate(desk: Desk) -> Ending:
    """What a model version comes to on the pieces of a dataset."""
    params = EvaluateParams.model_validate(desk.claim.params)
    desk.enter("loading")
    row = desk.dataset_rows()[0]
    version, learned = _fetch(desk)
    coding = data.read_coding(learned.target["coding"])
    items, left_out = data.items_known(data.load(desk.fetch_parts(row)), coding)
    desk.enter("evaluating")
    train = _trained_on(desk, version, coding)
    judged = _judge(desk, learned, coding, items)
    desk.enter("composing")
    music = _try(desk, learned, params.trial, train or items, items, seed=params.seed)
    said: Json = {
        "model": f"{version.name}@{version.number}",
        "metrics": {"evaluation": judged, **music},
        "pieces": len(items),
        "left_out": [each.key for each in left_out],
        "lineage": lineage.of_scoring(version, [row]),
    }
    return Ending(lambda sql: said)


def generate(desk: Desk) -> Ending:
    """Compose pieces with a model version."""
    params = GenerateParams.model_validate(desk.claim.params)
    desk.enter("loading")
    version, learned = _fetch(desk)
    composer = Composer.of(learned)
    given = _given(desk, params)
    brief = composer.brief(params, given)
    known = _known(desk, version, composer.coding)
    desk.enter("composing")
    made = _compose(desk, composer, brief, params, known)
    desk.enter("storing")
    folder = desk.scratch / "pieces"
    folder.mkdir()
    reference = f"{version.name}@{version.number}"
    written = piece_files.write(folder, made, brief, params, model=reference, settings=desk.settings, check=desk.check)
    files = [desk.put(path.name, path, rows=written.rows.get(path.stem, 0)) for path in sorted(folder.iterdir())]
    said: Json = {
        "model": reference,
        "pieces": written.rows["predictions"],
        "refused": written.rows["errors"],
        "files": written.rows["files"],
        "relaxed": sum(bool(each.said["relaxed"]) for each in made),
        "warnings": [] if known is not None else [_not_searched()],
        "lineage": lineage.of_scoring(version, desk.dataset_rows()),
    }

    def record(sql: Connection) -> Json:
        for warning in said["warnings"]:
            history.note(sql, desk.claim.job_id, "warning", warning)
        return said

    return Ending(record, files)


def _not_searched() -> Json:
    said = "The training set is not there any more: what was copied from it cannot be told."
    return {"code": "copies_unknown", "detail": said}


def _compose(
    desk: Desk, composer: Composer, brief: Brief, params: GenerateParams, known: Corpus | None
) -> list[piece_files.Written]:
    """Every piece that was asked for; one that copies too much is written anew, as often as the client allows."""
    done: dict[int, piece_files.Written] = {}
    attempts = params.copies.attempts if params.copies is not None else 1
    for attempt in range(attempts):
        missing = [number for number in range(params.pieces) if number not in done or done[number].refusal is not None]
        if not missing:
            break
        seeds = [(params.seed, number, attempt) for number in missing]
        made = composer.compose(brief, params, seeds=seeds, check=desk.check)
        for number, each in zip(missing, made, strict=True):
            done[number] = _told(number, each, params, known)
            desk.report_pieces(sum(one.refusal is None for one in done.values()), params.pieces)
    return [done[number] for number in range(params.pieces)]


def _told(number: int, made: Made, params: GenerateParams, known: Corpus | None) -> piece_files.Written:
    said = compose.tell(made, known)
    return piece_files.Written(number, made, said, _refusal(said, params))


def _refusal(said: Json, params: GenerateParams) -> Fault | None:
    """Why a piece is not handed out, if it is not."""
    if said["relaxed"] and params.constraints is not None and params.constraints.if_impossible == "refuse":
        bars = ", ".join(str(each["bar"]) for each in said["relaxed"])
        told = f"The constraints could not be kept together in bar {bars}."
        return Fault(told, code="constraints_impossible")
    copied = said["copied"]
    if params.copies is not None and copied is not None and copied["notes"] > params.copies.notes:
        where = f"stand in {copied['source_key']}, bar {copied['source_bar']}; {params.copies.notes} were allowed."
        told = f"{copied['notes']} notes from bar {copied['at_bar']} on {where}"
        return Fault(told, code="copied_too_much")
    return None


def _given(desk: Desk, params: GenerateParams) -> Piece | None:
    """The music that the pieces are made around."""
    score = params.given
    if score is None:
        return None
    if score.piece is not None:
        return _named(desk, score.piece)
    path = desk.scratch / "given"
    path.write_bytes(base64.b64decode(score.content or ""))
    readings = symbolic_reading.read([UploadedFile(score.name, path)], desk.scratch)
    pieces = [reading.piece for reading in readings if reading.piece is not None]
    if len(pieces) != 1:
        faults = [reading.fault.detail for reading in readings if reading.fault is not None]
        raise _unreadable(faults[0] if faults else f"expected one piece, received {len(pieces)}")
    return pieces[0]


def _unreadable(why: str) -> JobFailed:
    return JobFailed(f"The score that is given cannot be read: {why}.", code="score_unreadable")


def _named(desk: Desk, key: str) -> Piece:
    for row in desk.dataset_rows():
        for each in stored.load(desk.fetch_parts(row)):
            if each.key == key and each.piece is not None:
                return each.piece
    fault = Fault("expected the key of a piece of the dataset that can be used")
    raise JobFailed(f"The dataset has no such piece: {key}.", code="piece_missing", faults=[fault])


def _fetch(desk: Desk) -> tuple[Row[Any], SequenceModel]:
    with desk.database.reading() as sql:
        version = models.find_by_id(sql, desk.claim.version or "")
    return version, _unpack(desk, version)


def _unpack(desk: Desk, version: Row[Any]) -> SequenceModel:
    return artifacts.unpack({file["name"]: desk.get(file["key"], sha256=file["sha256"]) for file in version.files})


def _trained_on(desk: Desk, version: Row[Any], coding: Coding) -> list[Item] | None:
    """The pieces that a version was trained on; None when they were erased."""
    try:
        with desk.database.reading() as sql:
            row = datasets.find(sql, desk.claim.tenant, version.lineage["dataset"]["id"])
        items, _ = data.items_known(data.load(desk.fetch_parts(row)), coding)
    except NotFound:
        return None
    held_out = set(version.lineage["split"]["held_out"])
    return [item for item in items if item.name not in held_out]


def _known(desk: Desk, version: Row[Any], coding: Coding) -> Corpus | None:
    items = _trained_on(desk, version, coding)
    return None if items is None else metrics.corpus(items)
