"""What is true of the rows of another dataset, as versions that learned this target are judged by it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shared.errors import Fault, JobFailed
from worker import curves, tables
from worker.cautions import Caution
from worker.kinds.classification import certainty
from worker.kinds.classification.answers import is_right, sureness
from worker.kinds.classification.data import FLAG_EXPECTED, FLAGS, Target, ordered
from worker.kinds.protocol import Known
from worker.preparation import listed
from worker.tables import Column, Texts

Json = dict[str, Any]


def columns(targets: Sequence[Json]) -> list[str]:
    """The columns in which the truth stands. Raises JobFailed (against_unlike) for versions of different questions."""
    first, *others = described = [Target.model_validate(each) for each in targets]
    for other in others:
        is_alike = other.columns == first.columns or min(len(other.columns), len(first.columns)) > 1
        if not is_alike or _has_several(other) != _has_several(first) or other.separator != first.separator:
            said = f"expected a version that predicts {listed(first.columns)}, too, and in the same way"
            fault = Fault(said, pointer="/params/against")
            raise JobFailed(f"The two cannot be compared: {said}.", code="against_unlike", faults=[fault])
    return list(dict.fromkeys(column for each in described for column in each.columns))


def read(cells: Mapping[str, Column], targets: Sequence[Json]) -> Known:
    """The truth of rows that each have a label, and each target as a version of it is judged by it.

    A label that a version has never learned is there as well: it has probability 0. Raises JobFailed.
    """
    described = [Target.model_validate(each) for each in targets]
    first = described[0]
    if first.encoding != "multi_hot":
        texts = tables.labels(cells[first.columns[0]])
        used, hot = _used(texts), None
    elif first.separator is None:
        used = [column for each in described for column in each.columns]
        hot = {name: _flags(name, cells[name]) for name in dict.fromkeys(used)}
    else:
        texts = tables.labels(cells[first.columns[0]])
        parts = [{part.strip() for part in word.split(first.separator)} - {""} for word in texts.words]
        used = [part for word in _used(texts) for part in parts[texts.words.index(word)]]
        hot = {label: np.array([label in each for each in parts])[texts.codes] for label in _labels(described, used)}
    labels = _labels(described, used)
    judged = [_judged(each, first, labels) for each in described]
    y = np.stack([hot[label] for label in labels], axis=1) if hot else _classes(texts, judged[0])
    strange = [label for label in labels if label in used and label not in first.labels]
    said = f"labels that the version has never learned, of which it gets every row wrong: {len(strange):,}"
    cautions = [Caution("label_unknown", said)] if strange else []
    return Known(y.astype(np.float32), [each.model_dump(mode="json") for each in judged], cautions)


def tell(target: Json, truth: np.ndarray, outputs: np.ndarray) -> Json:
    """What stands beside the metrics: the curve of reliability, and what abstaining makes of these rows."""
    described = Target.model_validate(target)
    curve = curves.reliability(*sureness(described, truth, outputs))
    return {"reliability": curve, **certainty.abstaining(described, truth, outputs)}


def right(target: Json, truth: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Which rows are right, bool (rows,)."""
    return is_right(Target.model_validate(target), truth, outputs)


def _has_several(target: Target) -> bool:
    return target.encoding == "multi_hot"


def _used(texts: Texts) -> list[str]:
    return [texts.words[code] for code in np.unique(texts.codes).tolist() if code != tables.MISSING]


def _labels(targets: Sequence[Target], used: Sequence[str]) -> list[str]:
    """As the first has them; those that it has not follow."""
    known = list(targets[0].labels)
    every = {*used, *(label for each in targets for label in each.labels)}
    return [*known, *ordered(every - set(known))]


def _flags(name: str, column: Column) -> np.ndarray:
    """Cells of 0 and 1, or true and false, as bool."""
    texts = tables.labels(column)
    flags = np.array([FLAGS.get(word.strip().lower(), 2) for word in texts.words], np.uint8)[texts.codes]
    if (flags == 2).any():
        fault = Fault(FLAG_EXPECTED, column=name)
        said = f"The label {name!r} is one that a row has or has not: {FLAG_EXPECTED}."
        raise JobFailed(said, code="target_not_flags", faults=[fault])
    return flags > 0


def _classes(texts: Texts, judged: Target) -> np.ndarray:
    """The class of each row, (rows, outputs)."""
    places = {label: place for place, label in enumerate(judged.labels)}
    codes = np.array([places.get(word, -1) for word in texts.words])[texts.codes]
    return codes[:, None] if judged.encoding == "binary" else codes[:, None] == np.arange(len(judged.labels))


def _judged(target: Target, first: Target, labels: Sequence[str]) -> Target:
    """The question of the first with these labels; outputs that are judged by it have their temperature already."""
    encoding = "one_hot" if first.encoding == "binary" and len(labels) > 2 else first.encoding
    thresholds = dict(target.thresholds)
    if first.positive is not None and target.positive in thresholds and target.positive != first.positive:
        # Of two labels the one is said where the other is not.
        thresholds = {first.positive: 1 - thresholds[target.positive]}
    return first.model_copy(
        update={
            "labels": tuple(labels),
            "encoding": encoding,
            "temperatures": (),
            "thresholds": thresholds,
            "abstain_below": target.abstain_below,
        }
    )
