"""From a classifier's outputs to labels and their probabilities."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from worker import features, forward
from worker.artifacts import Model
from worker.attribution import Readout
from worker.drift import Values, Words
from worker.features import Feature
from worker.kinds.classification.answers import probabilities_of
from worker.kinds.classification.data import Target
from worker.predictions import Answer

# A label among several is said from here on.
THRESHOLD = 0.5
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
        """The label of each row, or its labels, and the probability of every label."""
        probabilities = probabilities_of(self.target, outputs)
        columns = {label: pa.array(column) for label, column in zip(self.target.labels, probabilities.T, strict=True)}
        if self.target.encoding == "multi_hot":
            said = probabilities >= THRESHOLD
            prediction, confidence = self._several(said), np.maximum(probabilities, 1 - probabilities).mean(axis=1)
            flags = zip(self.target.labels, said.T, strict=True)
            watched: dict[str, Values] = {label: Words(NO_AND_YES, each) for label, each in flags}
        else:
            places = probabilities.argmax(axis=1)
            said = places[:, None] == np.arange(len(self.target.labels))
            prediction = pa.DictionaryArray.from_arrays(places.astype(np.int32), self._labels())
            confidence = probabilities.max(axis=1)
            watched = {"prediction": Words(self.target.labels, places)}
        totals = np.array([*said.sum(axis=0), confidence.sum(dtype=np.float64)])
        fields = {"prediction": prediction, "probabilities": columns}
        return Answer(fields, totals, {CONFIDENCE: confidence, **watched})

    def _several(self, said: np.ndarray) -> pa.Array:
        places = pa.array(np.nonzero(said)[1])
        offsets = np.concatenate([[0], np.cumsum(said.sum(axis=1))]).astype(np.int32)
        return pa.ListArray.from_arrays(offsets, self._labels().take(places))

    def _labels(self) -> pa.Array:
        return pa.array(self.target.labels, pa.string())

    def readouts(self, outputs: np.ndarray) -> list[Readout]:
        """The probability of what is predicted; of several labels those of the most probable ones."""
        ranked = (-probabilities_of(self.target, outputs)).argsort(axis=1, kind="stable")
        count = min(EXPLAINED, len(self.target.labels)) if self.target.encoding == "multi_hot" else 1
        return [self._readout(ranked[:, place]) for place in range(count)]

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
            return np.where(was >= THRESHOLD, THRESHOLD - now, now - THRESHOLD).max(axis=1)
        others = now.copy()
        own = int(was.argmax())
        others[:, own] = -np.inf
        return np.asarray(others.max(axis=1) - now[:, own])

    def summarise(self, totals: np.ndarray, rows: int) -> dict[str, Any]:
        """How many rows were given each label, and the mean confidence in what was said."""
        counts = {label: int(count) for label, count in zip(self.target.labels, totals, strict=False)}
        return {"classes": counts, "mean_confidence": float(totals[-1] / rows) if rows else None}
