"""Training and scoring, step by step; the steps themselves are elsewhere. Only a worker with TensorFlow loads this."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors.numpy import load
from sqlalchemy import Connection, Row

from shared import chunks, datasets, explanation, history, job_list, models
from shared.kinds import KINDS
from shared.queue import TRAIN
from worker import (
    artifacts,
    audio_heads,
    audio_scoring,
    carrying,
    composing,
    explainable,
    explanations,
    kinds,
    lineage,
    recommending,
    row_training,
    scored,
    scoring,
    watching,
)
from worker.audio_scoring import TrackScoring
from worker.desk import Desk
from worker.drift import Counts
from worker.ending import Ending
from worker.kinds.protocol import Kind
from worker.learned import Learned, publish
from worker.listener import Listener
from worker.predictions import RowScoring
from worker.scored import Scored
from worker.scoring import Scoring

Json = dict[str, Any]


class Steps(Protocol):
    """What a kind with steps of its own has."""

    def learn(self, desk: Desk, params: Any) -> Learned: ...

    def evaluate(self, desk: Desk) -> Ending: ...


QUEUE = TRAIN
# Kinds that learn from something else than rows, or recordings, have steps of their own, by the format that they read.
OF_FORMAT: dict[str, Steps] = {"symbolic": composing, "interactions": recommending}


def train(desk: Desk) -> Ending:
    """Learn a model version from a dataset."""
    return publish(desk, learn(desk, _params(desk)))


def learn(desk: Desk, params: Any) -> Learned:
    """Carry out a training of the job's kind, and publish nothing."""
    return _steps(desk).learn(desk, params)


def _steps(desk: Desk) -> Steps:
    """Those of the job's kind."""
    return OF_FORMAT.get(KINDS[desk.claim.kind or ""].FORMATS[0], row_training)


def read_weights(content: bytes) -> dict[str, np.ndarray]:
    """The weights in the file of a version, or of a trial."""
    return load(content)


def evaluate(desk: Desk) -> Ending:
    """Judge a model version on a dataset that it has not seen."""
    return _steps(desk).evaluate(desk)


def score(desk: Desk) -> Ending:
    """Predict every row or track of the datasets with one model version, in chunks that others help with."""
    desk.enter("loading")
    opened = open_scoring(desk)
    desk.enter("scoring")
    folder = _folder(desk)
    carried = carrying.rights(desk)
    whole = scoring.run(desk, opened, folder, resume_of=desk.claim.params.get("resume_of"), rights=carried)
    if not whole.is_cancelled:
        desk.enter("storing")
    counts = {"predictions": whole.rows, "errors": whole.errors, "files": whole.files, "scored": whole.rows}
    files = desk.put_folder(folder, rows=counts)
    summary: Json = {"rows": whole.rows + whole.errors, "errors": whole.errors}
    if opened.has_files:
        summary["files"] = whole.files
    summary |= opened.summarise(whole.told, rows=whole.rows)
    told = watching.Told({})
    # Of a cancelled one it is the first rows that were scored, and no chance choice.
    if opened.before is not None and not whole.is_cancelled:
        told = watching.tell(desk, opened.before, whole.counts, _params(desk).drift_threshold)
    summary |= {**told.summary, "lineage": _lineage(desk), "rights": carried}

    def record(sql: Connection) -> Json:
        if whole.is_cancelled:
            ended = {} if whole.stopped_by is None else {"stopped_by": whole.stopped_by}
            return {**summary, "rows_total": opened.total, **ended}
        for warning in told.warnings:
            history.note(sql, desk.claim.tenant, desk.claim.job_id, "warning", warning)
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
    model, files = _as_asked(_fetch_model(desk), params), [file for row in rows for file in desk.open_parts(row)]
    kind, size, explain = _kind(desk), desk.settings.chunk_rows, None
    scorer = kind.predict.open(model)
    if params.explained_rows is not None:
        explain = explainable.fetch(desk, kind, model, params.explained_rows).explain
        size = min(size, explanations.chunk_rows(model.network))
    return RowScoring(
        files, rows[0].profile, scorer, params, size=size, known=known, before=model.counts, explain=explain
    )


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
    model = _as_asked(_fetch_model(desk), params)
    scorer = kinds.find(kind).predict.open(model)
    return audio_heads.open(model, scorer, precision=params.precision or "float32"), model.counts


def _as_asked(model: artifacts.Model, params: Any) -> artifacts.Model:
    """The model with what a scoring has set otherwise than its target has it."""
    names = getattr(KINDS[model.kind], "OF_TARGET", ())
    stated = {name: value for name in names if (value := getattr(params, name)) is not None}
    return replace(model, target={**model.target, **stated}) if stated else model


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
    wanted = explanation.without(version.files)
    files = {file["name"]: desk.fetch(file["key"], name=file["name"], sha256=file["sha256"]) for file in wanted}
    return artifacts.unpack({name: path.read_bytes() for name, path in files.items()})
