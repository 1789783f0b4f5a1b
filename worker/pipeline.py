"""Training and scoring, step by step; the steps themselves are elsewhere. Only a worker with TensorFlow loads this."""

from typing import Any

from sqlalchemy import Connection

from shared import models
from shared.kinds import KINDS
from shared.models import NewVersion
from shared.networks import measure
from worker import artifacts, evaluation, kinds, lineage, predictions, training
from worker.desk import Desk
from worker.ending import Ending
from worker.features import as_json
from worker.kinds.protocol import Kind

Json = dict[str, Any]


def train(desk: Desk) -> Ending:
    """Learn a model version from a dataset."""
    kind, contract, params = _kind(desk), KINDS[desk.claim.kind or ""], _params(desk)
    desk.enter("loading")
    row = desk.dataset_rows()[0]
    examples = kind.data.load(desk.fetch_parts(row), row.profile, params)
    desk.enter("preparing")
    prepared = kind.data.prepare(examples, params)
    cautions = [caution.as_json() for caution in prepared.cautions]
    desk.warn(cautions)
    network, objective = kind.model.describe(prepared, params)
    desk.enter("training")
    fitted = training.fit(
        network,
        objective,
        params,
        train=prepared.train,
        validation=prepared.validation,
        watch=desk,
        checkpoint=desk.checkpoints.last(desk),
    )
    desk.enter("evaluating")
    metrics, baselines = evaluation.judge(kind, prepared, network, fitted.weights, params, check=desk.check)
    desk.enter("storing")
    model = artifacts.Model(
        contract.__name__.rpartition(".")[2], network, fitted.weights, as_json(prepared.features), prepared.target
    )
    files = [desk.put(name, content) for name, content in artifacts.pack(model).items()]
    size = measure(network.hidden, inputs=network.inputs, outputs=network.outputs, batch_size=params.batch_size)
    version = NewVersion(
        files=files,
        metrics=metrics,
        baselines=baselines,
        warnings=cautions,
        lineage=lineage.of_training(desk.claim, row, params, prepared.split),
        parameters=size.parameters,
    )
    said = {"epochs": fitted.epochs, "best_epoch": fitted.best_epoch, "stopped_by": fitted.stopped_by}

    def record(sql: Connection) -> Json:
        made = models.record(sql, desk.claim, version)
        return {**made, **said, "metrics": metrics, "baselines": baselines, "warnings": cautions}

    return Ending(record)


def score(desk: Desk) -> Ending:
    """Predict every row of the datasets with one model version."""
    kind, params = _kind(desk), _params(desk)
    desk.enter("loading")
    scorer = kind.predict.open(_fetch_model(desk))
    rows = desk.dataset_rows()
    paths = [path for row in rows for path in desk.fetch_parts(row)]
    desk.enter("scoring")
    folder = desk.scratch / "predictions"
    folder.mkdir()
    summary = predictions.score(paths, rows[0].profile, scorer, params, folder=folder, progress=desk.report_rows)
    desk.enter("storing")
    counts = {"predictions": summary["rows"] - summary["errors"], "errors": summary["errors"]}
    files = [desk.put(path.name, path, rows=counts[path.stem]) for path in sorted(folder.iterdir())]
    return Ending(lambda _: summary, files)


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
