"""A version's network in formats that other programs run: each is checked against our own answers before it is kept.

Only a worker with TensorFlow loads this.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sqlalchemy import Row

from shared import models
from shared.errors import JobFailed
from shared.export_params import ExportParams
from shared.kept_files import EXAMPLES
from worker import artifacts, carrying, features, kinds, lineage, nearest_examples
from worker.artifacts import Model
from worker.desk import Desk
from worker.ending import Ending
from worker.exports import contents, formats
from worker.exports.contents import Exported, Readable
from worker.track_files import TrackFile, TrackFiles

# By so many rows an export is compared, half of them near rows of the training where the version keeps some.
ROWS = 256
# Of a sum of float32 numbers in another order; of numbers beyond 1 a share.
FARTHEST = 1e-5
SEED = 0

Json = dict[str, Any]


def export(desk: Desk) -> Ending:
    """Write the version in the formats that are asked for, each as an archive."""
    params = ExportParams.model_validate(desk.claim.params)
    desk.enter("loading")
    with desk.database.reading() as sql:
        version = models.find_by_id(sql, desk.claim.version or "")
    exported, x = _open(desk, version)
    desk.enter("exporting")
    folder = desk.scratch / "exports"
    folder.mkdir()
    told: Json = {}
    with TrackFiles(folder) as files:
        files.add(0, exported.reference, _written(desk, exported, x, list(dict.fromkeys(params.formats)), told))
    desk.enter("storing")
    stored = desk.put_folder(folder, rows={"files": files.count})
    said = {"model": exported.reference, "files": files.count, "formats": told, "lineage": exported.lineage,
            "rights": exported.rights}  # fmt: skip
    return Ending(lambda sql: said, stored)


def _open(desk: Desk, version: Row[Any]) -> tuple[Exported, np.ndarray]:
    """The model with its temperatures inside, and the rows by which it is checked."""
    named = {file["name"]: desk.get(file["key"], sha256=file["sha256"]) for file in version.files}
    kind, model = kinds.find(version.kind), artifacts.unpack(named)
    model = model if kind.certainty is None else kind.certainty.fold(model)
    scorer = kind.predict.open(model)
    assert isinstance(scorer, Readable)
    reference, told = f"{version.name}@{version.number}", lineage.of_scoring(version, [])
    exported = Exported(reference, model, scorer, told, carrying.rights(desk))
    return exported, _rows(model, named.get(EXAMPLES))


def _rows(model: Model, kept: bytes | None) -> np.ndarray:
    """Rows (256, inputs) float32: drawn between what the training had at least and at most, and some of its own."""
    inputs, random = model.network.inputs, np.random.default_rng(SEED)
    if model.inputs is None:
        return random.standard_normal((ROWS, inputs), np.float32)
    drawn = random.uniform(model.inputs.low, model.inputs.high, (ROWS, inputs)).astype(np.float32)
    if kept is None:
        return drawn
    places = nearest_examples.unpack(kept, inputs=inputs).places[: ROWS // 2]
    own = nearest_examples.restore(features.from_json(model.preprocessing), model.inputs, places)
    # Last, for the first are told to the client.
    return np.concatenate([drawn[: ROWS - len(own)], own])


def _written(desk: Desk, exported: Exported, x: np.ndarray, names: list[str], told: Json) -> Iterator[TrackFile]:
    """An archive a format; notes in `told` how far each is from our own answers."""
    ours = exported.scorer.network(x)
    example = contents.example(x, ours)
    for name in names:
        desk.check()
        made = formats.FORMATS[name]
        files = made.write(exported.model.network, exported.model.weights)
        told[name] = {"checked": {"rows": len(x), "largest_difference": _checked(name, ours, made.run(files, x))}}
        packed = contents.pack(exported, name, made, files, {**told[name], "example": example})
        told[name] |= {"size_bytes": len(packed)}
        yield TrackFile(f"{name}.zip", "application/zip", packed)


def _checked(name: str, ours: np.ndarray, theirs: np.ndarray) -> float:
    """How far the two are apart. Raises JobFailed when that is too far."""
    away = formats.difference(ours, theirs)
    if away <= FARTHEST:
        return away
    said = (
        f"What was exported as {name} answers otherwise than the version: by {away:.3g}, where {FARTHEST:g} may be. "
        "Nothing was kept: leave this format out, and tell the operator."
    )
    raise JobFailed(said, code="export_differs")
