"""From a classifier's outputs to labels and their probabilities."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from worker import features, forward
from worker.artifacts import Model
from worker.attribution import Readout
from worker.calibration import THRESHOLD
from worker.drift import Values, Words
from worker.features import Feature
from worker.kinds.classification.answers import confidence_of, decided, probabilities_of, said_of
from worker.kinds.classification.data import Target
from worker.predictions import Answer

NO_AND_YES = ("no", "yes")
# Beside the labels among what is watched for drift; a label of a client that is written like it takes its place.
CONFIDENCE = "(confidence)"
# Of several labels a row so many are explained, the most probable ones.
EXPLAINED = 10


def open(model: Model) -> "Classifier":
    """Make a model ready to score."""
    run = forward.compile(model.network, model.weights)
    return Classifier(features.from_json(model.preprocessing), Target.model_validate(model.target), run)


@dataclass(frozen=True)
class Classifier:
    """A classifier ready to score."""

    features: tuple[Feature, ...]
    target: Target
    network: Callable[[np.ndarray], np.ndarray]

    @property
    def outputs(self) -> int:
        return self.target.outputs

    def answer(self, outputs: np.ndarray) -> Answer:
        """The label of each row, or its labels, and the probability of every label; no label where it abstains."""
        probabilities = probabilities_of(self.target, outputs)
        confidence = confidence_of(self.target, probabilities)
        columns = {label: pa.array(column) for label, column in zip(self.target.labels, probabilities.T, strict=True)}
        is_silent = np.zeros(len(outputs), bool)
        if self.target.abstain_below is not None:
            is_silent = confidence < self.target.abstain_below
        if self.target.encoding == "multi_hot":
            said = said_of(self.target, probabilities)
            prediction = self._several(said, is_silent)
            flags = zip(self.target.labels, said.T, strict=True)
            watched: dict[str, Values] = {label: Words(NO_AND_YES, each) for label, each in flags}
        else:
            places = decided(self.target, probabilities)
            said = places[:, None] == np.arange(len(self.target.labels))
            prediction = pa.DictionaryArray.from_arrays(
                pa.array(places.astype(np.int32), mask=is_silent), self._labels()
            )
            watched = {"prediction": Words(self.target.labels, places)}
        counts = said[~is_silent].sum(axis=0)
        totals = np.array([*counts, confidence.sum(dtype=np.float64), is_silent.sum()])
        abstained = {} if self.target.abstain_below is None else {"abstained": pa.array(is_silent)}
        fields = {"prediction": prediction, **abstained, "probabilities": columns}
        return Answer(fields, totals, {CONFIDENCE: confidence, **watched})

    def _several(self, said: np.ndarray, is_silent: np.ndarray) -> pa.Array:
        said = said & ~is_silent[:, None]
        places = pa.array(np.nonzero(said)[1])
        offsets = np.concatenate([[0], np.cumsum(said.sum(axis=1))]).astype(np.int32)
        mask = pa.array(is_silent) if is_silent.any() else None
        return pa.ListArray.from_arrays(pa.array(offsets), self._labels().take(places), mask=mask)

    def _labels(self) -> pa.Array:
        return pa.array(self.target.labels, pa.string())

    def tell_outputs(self) -> dict[str, Any]:
        """What each output means, for whoever runs the network elsewhere."""
        target = self.target
        meaning = {
            "binary": f"the probability of {target.positive!r}; that of the other label is the rest to 1.",
            "one_hot": "the probability of each label; the likeliest is said.",
            "multi_hot": "the probability of each label by itself; a label is said from one half on.",
        }[target.encoding]
        return {
            "columns": [target.positive] if target.encoding == "binary" else list(target.labels),
            "meaning": f"{meaning} `thresholds` and `abstain_below` come before that where they are given.",
            "labels": list(target.labels),
            "thresholds": target.thresholds,
            "abstain_below": target.abstain_below,
        }

    def readouts(self, outputs: np.ndarray) -> list[Readout]:
        """The probability of what is predicted; of several labels those of the most probable ones."""
        probabilities = probabilities_of(self.target, outputs)
        if self.target.encoding != "multi_hot":
            return [self._readout(decided(self.target, probabilities))]
        ranked = (-probabilities).argsort(axis=1, kind="stable")
        return [self._readout(ranked[:, place]) for place in range(min(EXPLAINED, len(self.target.labels)))]

    def _readout(self, places: np.ndarray) -> Readout:
        names = [self.target.labels[place] for place in places.tolist()]
        if self.target.encoding != "binary":
            return Readout(names, np.eye(self.outputs, dtype=np.float32)[places], np.zeros(len(places)))
        # The one output is the probability of the second label.
        return Readout(names, np.where(places == 1, 1, -1)[:, None].astype(np.float32), 1.0 - places)

    def beyond(self, before: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """How much more probable another label is than the one before; of several labels, how far one has crossed."""
        was, now = (probabilities_of(self.target, each) for each in (before[None], outputs))
        if self.target.encoding == "multi_hot":
            at = np.array([self.target.thresholds.get(label, THRESHOLD) for label in self.target.labels])
            return np.where(was >= at, at - now, now - at).max(axis=1)
        if self.target.positive in self.target.thresholds:
            least, place = self.target.thresholds[self.target.positive], self.target.labels.index(self.target.positive)
            return least - now[:, place] if was[0, place] >= least else now[:, place] - least
        others = now.copy()
        own = int(was.argmax())
        others[:, own] = -np.inf
        return np.asarray(others.max(axis=1) - now[:, own])

    def summarise(self, totals: np.ndarray, rows: int) -> dict[str, Any]:
        """How many rows were given each label, or none, and the mean confidence in what was said."""
        *counts, confidence, silent = totals
        classes = {label: int(count) for label, count in zip(self.target.labels, counts, strict=True)}
        abstained = {} if self.target.abstain_below is None else {"abstained": int(silent)}
        return {"classes": classes, **abstained, "mean_confidence": float(confidence / rows) if rows else None}
