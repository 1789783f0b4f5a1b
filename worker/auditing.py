"""The audit of a dataset's labels: each row is answered by a network that has not learned from it, and doubted by that.

Only a worker with TensorFlow loads this.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Row

from shared.audit_params import AUDIT
from shared.kinds import KINDS
from worker import cross_validation, evaluation, lineage, recordings, row_training, suspects, tables, tags
from worker.cautions import Caution
from worker.cross_validation import Crossed
from worker.desk import Desk
from worker.ending import Ending
from worker.kinds.protocol import Labelled
from worker.lines import JsonLines
from worker.row_training import Material
from worker.suspects import Ranking

# Nobody looks at more, and a page of decisions must be found in it.
MOST_RANKED = 100_000
FILE = "audit.jsonl"
# A beat is taken between so many lines.
LINES_AT_ONCE = 1000

Json = dict[str, Any]


def audit(desk: Desk) -> Ending:
    """Doubt the labels of a dataset, and write down every row in the order of suspicion."""
    asked = KINDS[desk.claim.kind or ""].ACTIONS[AUDIT].model_validate(desk.claim.params)
    desk.enter("loading")
    row, params = desk.dataset_rows()[0], asked.train
    params = params.of_recordings() if row.format == "audio" else params
    material = row_training.open_material(desk, row, params)
    prepared, describe = material.make(), partial(row_training.describe_network, material, params)
    warnings = row_training.tell(desk, prepared.cautions)
    crossed = cross_validation.run(desk, material.kind, prepared, material.make, describe, params)
    warnings += row_training.tell(desk, crossed.cautions)
    desk.enter("auditing")
    labelled, units = _labels(material, crossed, seed=params.seed)
    warnings += row_training.tell(desk, _cautions(labelled, asked.folds))
    questions = suspects.ask(labelled)
    ranking = suspects.rank(labelled, questions)
    told = suspects.summarise(labelled, questions, units, seed=params.seed, check=desk.check)
    vocabulary = tags.look(labelled.names, labelled.given, has_several=labelled.has_several, check=desk.check)
    desk.enter("storing")
    path, first = _write(desk, material, ranking, evaluation.rows_judged(crossed.prepared), top=asked.top)
    ranked = min(len(units), MOST_RANKED)
    said = {
        "dataset": lineage.of_dataset(row),
        "rows": len(units),
        "ranked": ranked,
        "suspects_total": int(ranking.is_suspect.sum()),
        "suspects": first,
        **told,
        "tags": vocabulary,
        "target": _target(labelled, crossed),
        "temperature": round(labelled.temperature, 6),
        "warnings": warnings,
    }
    ranking_files = {each.name: each for each in (path, path.with_suffix(".index"))}
    files = [{**stored, "rows": ranked} for stored in desk.put_all(ranking_files)]
    return Ending(lambda sql: said, files)


def _labels(material: Material, crossed: Crossed, *, seed: int) -> tuple[Labelled, np.ndarray]:
    """The labels of the rows, what is said of them, and which of them belong together."""
    prepared, kind = crossed.prepared, material.kind
    assert kind.labels is not None and prepared.validation is not None
    truth, outputs = (evaluation.by_row(prepared, each) for each in (prepared.validation.y, crossed.outputs))
    units = evaluation.units_of_rows(prepared, len(truth))
    return kind.labels.read(prepared.target, truth, outputs, units, seed=seed), units


def _cautions(labelled: Labelled, folds: int) -> list[Caution]:
    counts = labelled.given.sum(axis=0)
    few = int((counts < folds).sum())
    if not few:
        return []
    said = f"labels of fewer rows than the {folds} folds: {few:,}; what is said of them rests on very little"
    return [Caution("class_below_folds", said)]


def _target(labelled: Labelled, crossed: Crossed) -> Json:
    """How labels stand in the dataset, by which corrected ones are written."""
    target = crossed.prepared.target
    return {
        "columns": list(target["columns"]),
        "separator": target["separator"],
        "has_several": labelled.has_several,
        "labels": list(labelled.names),
    }


def _write(desk: Desk, material: Material, ranking: Ranking, rows: np.ndarray, *, top: int) -> tuple[Path, list[Json]]:
    """The file of all rows by suspicion, and the first of those that are suspects."""
    path, first = desk.scratch / FILE, list[Json]()
    names = _names(material.dataset, material.paths, rows)
    with JsonLines(path) as lines:
        for place in ranking.order[:MOST_RANKED].tolist():
            if lines.rows % LINES_AT_ONCE == 0:
                desk.check()
            line = {"row": int(rows[place]), **names[place], **ranking.tell(place)}
            lines.write(json.dumps(line, ensure_ascii=False, allow_nan=False))
            if line["is_suspect"] and len(first) < top:
                first.append(line)
    return path, first


def _names(row: Row[Any], paths: Sequence[Path], rows: np.ndarray) -> list[Json]:
    """The key of each row, and of a recording its file as well."""
    if row.format == "audio":
        every = recordings.read(paths)
        return [{"key": every[number].key, "file": every[number].file} for number in rows.tolist()]
    key = row.profile["roles"]["id"]
    if key is None:
        return [{"key": None}] * len(rows)
    texts = tables.labels(tables.take(tables.read(paths, [key])[key], rows))
    return [{"key": None if code == tables.MISSING else texts.words[code]} for code in texts.codes.tolist()]
