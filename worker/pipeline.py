"""Training and scoring, step by step; the steps themselves are elsewhere. Only a worker with TensorFlow loads this."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Row

from shared import chunks, datasets, history, job_list, models
from shared.kinds import KINDS
from shared.models import NewVersion
from shared.networks import measure
from shared.queue import TRAIN
from worker import (
    artifacts,
    audio_heads,
    audio_scoring,
    audio_training,
    composing,
    distribution,
    evaluation,
    kinds,
    lineage,
    perception,
    promotion,
    recommending,
    recordings,
    scored,
    scoring,
    training,
    watching,
)
from worker.audio_scoring import TrackScoring
from worker.desk import Desk
from worker.drift import Counts
from worker.ending import Ending
from worker.features import as_json
from worker.kinds.protocol import Kind, Prepared
from worker.learned import Learned, publish
from worker.listener import Listener
from worker.networks import NetworkSpec
from worker.predictions import RowScoring
from worker.promotion import HeldOut
from worker.scored import Scored
from worker.scoring import Scoring
from worker.training import Fitted, Objective

Json = dict[str, Any]


class Steps(Protocol):
    """What a kind with steps of its own has."""

    def learn(self, desk: Desk, params: Any) -> Learned: ...

    def evaluate(self, desk: Desk) -> Ending: ...


QUEUE = TRAIN
# Kinds that learn from something else than rows have steps of their own, by the format that they read.
OF_FORMAT: dict[str, Steps] = {"symbolic": composing, "interactions": recommending}


def train(desk: Desk) -> Ending:
    """Learn a model version from a dataset."""
    return publish(desk, learn(desk, _params(desk)))


def learn(desk: Desk, params: Any) -> Learned:
    """Carry out a training of the job's kind, and publish nothing."""
    other = OF_FORMAT.get(KINDS[desk.claim.kind or ""].FORMATS[0])
    return _learn(desk, params) if other is None else other.learn(desk, params)


def _learn(desk: Desk, params: Any) -> Learned:
    kind, contract = _kind(desk), KINDS[desk.claim.kind or ""]
    desk.enter("loading")
    row = desk.dataset_rows()[0]
    params = params.of_recordings() if row.format == "audio" else params
    paths = desk.fetch_parts(row)
    prepared, listens_to = _prepare(desk, kind, row, paths, params)
    cautions = [caution.as_json() for caution in prepared.cautions]
    desk.warn(cautions)
    network, objective = kind.model.describe(prepared, params)
    if listens_to is not None and params.front is not None:
        network = network.under(params.front)
    fitted = _fit(desk, network, objective, params, prepared)
    desk.enter("evaluating")
    outputs = evaluation.answers(network, fitted.weights, prepared)
    metrics, baselines = evaluation.judge(kind, prepared, outputs, params, check=desk.check)
    desk.enter("storing")
    name = contract.__name__.rpartition(".")[2]
    features = as_json(prepared.features)
    model = artifacts.Model(name, network, fitted.weights, features, prepared.target, listens_to)
    counts = distribution.at_training(kind.predict.open(model), prepared, evaluation.by_row(prepared, outputs))
    model = replace(model, counts=counts)
    files = [desk.put(name, content) for name, content in artifacts.pack(model).items()]
    version = NewVersion(
        files=files,
        metrics=metrics,
        baselines=baselines,
        warnings=cautions,
        lineage=lineage.of_training(desk.claim, row, params, prepared.split, features=prepared.features),
        parameters=_count_parameters(network, params),
    )
    held_out = HeldOut(row, paths, prepared)
    said = {"epochs": fitted.epochs, "best_epoch": fitted.best_epoch, "stopped_by": fitted.stopped_by}
    return Learned(version, said, measured=lambda: promotion.measure(desk, held_out, version))


def _fit(desk: Desk, network: NetworkSpec, objective: Objective, params: Any, prepared: Prepared) -> Fitted:
    desk.enter("training")
    return training.fit(
        network,
        objective,
        params,
        train=prepared.train,
        validation=prepared.validation,
        watch=desk,
        checkpoint=desk.checkpoints.last(desk),
    )


def _count_parameters(network: NetworkSpec, params: Any) -> int:
    size = measure(
        network.hidden,
        inputs=network.inputs,
        outputs=network.outputs,
        batch_size=params.batch_size,
        front=network.front,
    )
    return size.parameters


def _prepare(desk: Desk, kind: Kind, row: Row[Any], paths: Sequence[Path], params: Any) -> tuple[Prepared, Json | None]:
    """The matrices of a training, and what the model will listen to; None for a table."""
    if row.format != "audio":
        examples = kind.data.load(paths, row.profile, params)
        desk.enter("preparing")
        return kind.data.prepare(examples, params), None
    tracks = recordings.read(paths)
    examples = audio_training.examples_of_tracks(paths, row.profile, params)
    desk.enter("listening")
    chosen = audio_training.usable(examples, tracks)
    with closing(perception.perceive(desk, chosen, _uploads(desk, [row]), audio_training.wants(params))) as heard:
        found = audio_training.gather(heard, params)
    desk.enter("preparing")
    return audio_training.prepare(kind, examples, tracks, found, params), audio_heads.describe(params)


def evaluate(desk: Desk) -> Ending:
    """Judge a model version on a dataset that it has not seen."""
    return OF_FORMAT[KINDS[desk.claim.kind or ""].FORMATS[0]].evaluate(desk)


def score(desk: Desk) -> Ending:
    """Predict every row or track of the datasets with one model version, in chunks that others help with."""
    desk.enter("loading")
    opened = open_scoring(desk)
    desk.enter("scoring")
    folder = _folder(desk)
    whole = scoring.run(desk, opened, folder, resume_of=desk.claim.params.get("resume_of"))
    if not whole.is_cancelled:
        desk.enter("storing")
    counts = {"predictions": whole.rows, "errors": whole.errors, "files": whole.files, "scored": whole.rows}
    files = [desk.put(path.name, path, rows=counts[path.stem]) for path in sorted(folder.iterdir())]
    summary: Json = {"rows": whole.rows + whole.errors, "errors": whole.errors}
    if opened.has_files:
        summary["files"] = whole.files
    summary |= opened.summarise(whole.told, rows=whole.rows)
    told = watching.Told({})
    # Of a cancelled one it is the first rows that were scored, and no chance choice.
    if opened.before is not None and not whole.is_cancelled:
        told = watching.tell(desk, opened.before, whole.counts, _params(desk).drift_threshold)
    summary |= {**told.summary, "lineage": _lineage(desk)}

    def record(sql: Connection) -> Json:
        if whole.is_cancelled:
            ended = {} if whole.stopped_by is None else {"stopped_by": whole.stopped_by}
            return {**summary, "rows_total": opened.total, **ended}
        for warning in told.warnings:
            history.note(sql, desk.claim.job_id, "warning", warning)
        chunks.forget(sql, desk.claim)
        return summary

    return Ending(record, [*files, *told.files], is_partial=whole.is_cancelled)


def open_scoring(desk: Desk) -> Scoring:
    """The model and the datasets of a scoring, ready to be done in chunks."""
    rows, params = desk.dataset_rows(), _params(desk)
    if rows[0].format == "interactions":
        return recommending.open_scoring(desk, rows[0], params)
    known = _known(desk) if params.skip_scored else None
    if rows[0].format == "audio":
        catalogue = audio_scoring.open_catalogue(desk, rows, [desk.fetch_parts(row) for row in rows])
        listener, before = _listener(desk, params)
        size = desk.settings.chunk_tracks
        return TrackScoring(desk, catalogue, listener, params, size=size, known=known, before=before)
    model = _fetch_model(desk)
    files = [file for row in rows for file in desk.open_parts(row)]
    scorer, size = _kind(desk).predict.open(model), desk.settings.chunk_rows
    return RowScoring(files, rows[0].profile, scorer, params, size=size, known=known, before=model.counts)


def _lineage(desk: Desk) -> Json:
    with desk.database.reading() as sql:
        version = models.find_by_id(sql, desk.claim.version or "")
        rows = [datasets.find(sql, desk.claim.tenant, dataset) for dataset in desk.claim.datasets]
    return lineage.of_scoring(version, rows)


def _known(desk: Desk) -> Scored:
    """What the same version has scored before, in jobs that asked for the same and remembered it."""
    with desk.database.reading() as sql:
        files = job_list.outputs_of_version(sql, desk.claim.tenant, desk.claim.version or "", scored.FILE)
    asked = _asked(desk.claim.params)
    same = [file for file in files if file.job != desk.claim.job_id and _asked(file.params) == asked]
    return Scored(desk.get(file.key, sha256=file.sha256) for file in same)


def _asked(params: Json) -> Json:
    return {name: value for name, value in params.items() if name not in scored.NO_MATTER}


def _listener(desk: Desk, params: Any) -> tuple[Listener, Counts | None]:
    """What hears, and how the recordings of its training were distributed."""
    kind = desk.claim.kind or ""
    if "train" not in KINDS[kind].ACTIONS:
        return kinds.find_listener(kind).open(desk.claim.model or "", params), None
    model = _fetch_model(desk)
    scorer = kinds.find(kind).predict.open(model)
    return audio_heads.open(model, scorer, precision=params.precision or "float32"), model.counts


def _uploads(desk: Desk, rows: Sequence[Row[Any]]) -> dict[str, Row[Any]]:
    """The uploaded files by the SHA-256 of their bytes."""
    return {file.sha256: file for row in rows for file in desk.uploads(row)}


def _folder(desk: Desk) -> Path:
    folder = desk.scratch / "predictions"
    folder.mkdir()
    return folder


def _kind(desk: Desk) -> Kind:
    return kinds.find(desk.claim.kind or "")


def _params(desk: Desk) -> Any:  # Any: the kind's own model
    # The row is read again as if it came from a client: it may be older than this worker.
    return KINDS[desk.claim.kind or ""].ACTIONS[desk.claim.action].model_validate(desk.claim.params)


def _fetch_model(desk: Desk) -> artifacts.Model:
    """The model version that the job was given when it was accepted."""
    with desk.database.reading() as sql:
        version = models.find_by_id(sql, desk.claim.version or "")
    files = {file["name"]: desk.fetch(file["key"], name=file["name"], sha256=file["sha256"]) for file in version.files}
    return artifacts.unpack({name: path.read_bytes() for name, path in files.items()})
