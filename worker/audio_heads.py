"""A network that was trained on embeddings of recordings, made ready to score them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.audio_params import EMBEDDING_NETWORKS, Listening
from worker import audio_training, evaluation, features
from worker.artifacts import Model
from worker.perception import Heard, Wants
from worker.predictions import Answer, Scorer
from worker.track_files import TrackFile

Json = dict[str, Any]


@dataclass(frozen=True)
class Head:
    """Scores segments and says the mean of each track."""

    scorer: Scorer
    listening: Listening
    wants: Wants

    def answer(self, heard: Sequence[Heard]) -> Answer:
        """A row a track."""
        if not heard:
            return self.scorer.answer(np.empty((0, self.scorer.outputs), np.float32))
        parts = [audio_training.segments(audio_training.embedding(each), self.listening) for each in heard]
        rows = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        matrix = np.concatenate(parts).astype(np.float64)
        columns = {name: matrix[:, place] for place, name in enumerate(audio_training.FEATURES)}
        x, _ = features.matrix(self.scorer.features, columns)
        return self.scorer.answer(evaluation.pool(self.scorer.network(x), rows))

    def files(self, heard: Heard) -> Iterator[TrackFile]:
        """None: nothing is asked that would need one."""
        return iter(())

    def summarise(self, totals: np.ndarray, rows: int) -> Json:
        return self.scorer.summarise(totals, rows)


def describe(listening: Listening) -> Json:
    """What the model's spec says of its input."""
    return {"format": "audio", "preset": "embedding", "listening": listening.model_dump(mode="json")}


def open(model: Model, scorer: Scorer, *, precision: str) -> Head:
    """A head ready to score."""
    assert model.input is not None
    listening = Listening.model_validate(model.input["listening"])
    return Head(scorer, listening, Wants(taggers=EMBEDDING_NETWORKS, precision=precision))
