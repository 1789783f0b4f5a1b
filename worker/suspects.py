"""Which rows of a table are labelled wrong, most likely first, and how often labels are: what an audit tells.

Pure functions of labels and probabilities. Of rows with one label the classes compete; with several each label is
judged by itself, against the rows that have it not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from worker import confident, resampling
from worker.confident import Doubts
from worker.kinds.protocol import Labelled

# A matrix of more classes than this nobody reads; the pairs that are confused most are told of any number.
MOST_SHOWN, PAIRS_SHOWN = 50, 50

Json = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """Something that each row is labelled with: its class, or whether it has a label; places are those of `names`."""

    names: tuple[str, ...]
    given: np.ndarray  # (rows,)
    said: np.ndarray  # (rows, names)
    doubts: Doubts

    def joint(self) -> np.ndarray:
        """The estimated share of rows of each pair, given and true."""
        classes = len(self.names)
        counted = confident.confident_joint(self.given, confident.true_classes(self.given, self.said), classes)
        return confident.estimate_joint(counted, np.bincount(self.given, minlength=classes))


@dataclass(frozen=True)
class Ranking:
    """Every row in the order of suspicion, `order` (rows,); the other arrays are in the order of the rows.

    `worst` is the place of the label that is doubted most, `suggested` which labels a row should have, bool (rows,
    labels).
    """

    labelled: Labelled
    order: np.ndarray
    worst: np.ndarray
    confidence: np.ndarray
    margin: np.ndarray
    is_suspect: np.ndarray
    suggested: np.ndarray

    def tell(self, place: int) -> Json:
        """One row, but for its number and its name."""
        confidence = float(self.confidence[place])
        return {
            "given": self._labels(self.labelled.given[place]),
            "suggested": self._labels(self.suggested[place]),
            "doubted": self.labelled.names[self.worst[place]],
            "self_confidence": round(confidence, 6),
            "confidence": round(confidence - float(self.margin[place]), 6),
            "margin": round(float(self.margin[place]), 6),
            "is_suspect": bool(self.is_suspect[place]),
        }

    def _labels(self, chosen: np.ndarray) -> str | list[str]:
        named = [self.labelled.names[place] for place in np.flatnonzero(chosen)]
        return named if self.labelled.has_several else named[0]


def ask(labelled: Labelled) -> list[Question]:
    """The questions that labels answer: one of several classes, or one for each label."""
    if not labelled.has_several:
        given = labelled.given.argmax(axis=1)
        return [Question(labelled.names, given, labelled.said, confident.doubt(given, labelled.said))]
    questions = []
    for place, name in enumerate(labelled.names):
        given = labelled.given[:, place].astype(np.int64)
        said = np.stack([1 - labelled.said[:, place], labelled.said[:, place]], axis=1)
        questions.append(Question((f"not {name}", name), given, said, confident.doubt(given, said)))
    return questions


def rank(labelled: Labelled, questions: list[Question]) -> Ranking:
    """The rows by how unlikely the label is that is doubted most, whether they are counted against it or not.

    On real songs that finds a little more than the margin, or than those first that are counted (bench/auditing.py).
    """
    rows = np.arange(len(labelled.given))
    margins, confidences, suspects = (
        np.stack([getattr(question.doubts, name) for question in questions], axis=1)
        for name in ("margin", "self_confidence", "is_suspect")
    )
    # Of several labels one that is counted against goes before one that is merely unlikely.
    place = np.where(suspects, margins - 2, margins).argmin(axis=1)
    confidence = confidences[rows, place]
    worst = place if labelled.has_several else questions[0].given
    return Ranking(
        labelled,
        np.lexsort((rows, confidence)),
        worst,
        confidence,
        margins[rows, place],
        np.asarray(suspects.any(axis=1)),
        _suggested(labelled, questions, suspects, place),
    )


def _suggested(labelled: Labelled, questions: list[Question], suspects: np.ndarray, place: np.ndarray) -> np.ndarray:
    if not labelled.has_several:
        suggested: np.ndarray = questions[0].doubts.suggested[:, None] == np.arange(len(labelled.names))
        return suggested
    flipped = suspects.copy()
    flipped[np.arange(len(place)), place] = True
    return np.asarray(labelled.given != flipped)


def summarise(
    labelled: Labelled, questions: list[Question], units: np.ndarray, *, seed: int, check: Callable[[], None]
) -> Json:
    """How often labels are wrong, with the interval of that, and which for which; of classes and of labels."""
    joints = [question.joint() for question in questions]
    rate = float(np.mean([confident.error_rate(joint) for joint in joints]))
    interval = resampling.intervals(_rates(questions), units, seed=seed, check=check).get("error_rate")
    told = _of_labels if labelled.has_several else _of_classes
    return {"error_rate": {"value": rate, "interval": interval}, **told(questions, joints)}


def _rates(questions: list[Question]) -> Callable[[np.ndarray], Mapping[str, np.ndarray]]:
    weighted = [confident.error_rates(question.given, question.said) for question in questions]
    return lambda times: {"error_rate": np.mean([each(times) for each in weighted], axis=0)}


def _of_classes(questions: list[Question], joints: list[np.ndarray]) -> Json:
    (question,), (joint,) = questions, joints
    names, rows = question.names, len(question.given)
    counts = np.bincount(question.given, minlength=len(names))
    suspects = np.bincount(question.given[question.doubts.is_suspect], minlength=len(names))
    likely = confident.thresholds(question.given, question.said)
    wrong = (joint.sum(axis=1) - joint.diagonal()) * rows
    noise = confident.noise_matrix(joint).round(6).tolist() if len(names) <= MOST_SHOWN else None
    return {
        "classes": [
            {
                "label": name, "rows": int(counts[place]), "suspects": int(suspects[place]),
                "threshold": _finite(likely[place]), "wrong": round(float(wrong[place]), 2),
            }
            for place, name in enumerate(names)
        ],
        "noise": None if noise is None else {"labels": list(names), "rows": noise},
        "confused": _confused(names, joint * rows),
    }  # fmt: skip


def _confused(names: tuple[str, ...], counts: np.ndarray) -> list[Json]:
    """The pairs of given and true class that are estimated to be confused most, in rows."""
    off = counts * (1 - np.eye(len(names)))
    order = np.argsort(-off, axis=None, kind="stable")[:PAIRS_SHOWN]
    pairs = zip(*np.unravel_index(order, off.shape), strict=True)
    return [
        {"given": names[given], "true": names[true], "rows": round(float(off[given, true]), 2)}
        for given, true in pairs
        if off[given, true] > 0
    ]


def _of_labels(questions: list[Question], joints: list[np.ndarray]) -> Json:
    """Of each label how many rows lack it that should have it, and how many have it that should not."""
    classes, confused = [], list[Json]()
    for question, joint in zip(questions, joints, strict=True):
        name, rows = question.names[1], len(question.given)
        classes.append({
            "label": name, "rows": int(question.given.sum()), "suspects": int(question.doubts.is_suspect.sum()),
            "threshold": _finite(confident.thresholds(question.given, question.said)[1]),
            "wrong": round(float(joint[0, 1] + joint[1, 0]) * rows, 2),
        })  # fmt: skip
        confused += [{**pair, "label": name} for pair in _confused(question.names, joint * rows)]
    matrices = [confident.noise_matrix(joint) for joint in joints]
    noise = {
        "labels": [question.names[1] for question in questions],
        "missing": [round(float(matrix[0, 1]), 6) for matrix in matrices],
        "added": [round(float(matrix[1, 0]), 6) for matrix in matrices],
    }
    confused.sort(key=lambda pair: -pair["rows"])
    return {"classes": classes, "noise": noise, "confused": confused[:PAIRS_SHOWN]}


def _finite(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
