"""A network that was trained on recordings, made ready to score them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from shared.audio_params import EMBEDDING_NETWORKS, AudioTraining, Listening, Precision
from shared.errors import Fault, JobFailed
from worker import audio_training, crops, drift, evaluation, features, fronts, head_judges
from worker.artifacts import Model
from worker.heard import Heard, Truth, Wants
from worker.listener import Claim, MeansOfAll
from worker.predictions import Answer, Scorer
from worker.preparation import listed
from worker.pretrained import musicnn
from worker.reasons import Judge, Segment
from worker.track_files import TrackFile

Json = dict[str, Any]


@dataclass(frozen=True)
class Head:
    """Scores segments and says the mean of each track."""

    model: Model
    scorer: Scorer
    listening: Listening
    wants: Wants

    def answer(self, heard: Sequence[Heard]) -> Answer:
        """A row a track."""
        if not heard:
            return self.scorer.answer(np.empty((0, self.scorer.outputs), np.float32))
        inputs = [self._inputs(each) for each in heard]
        rows = np.repeat(np.arange(len(inputs)), [len(each) for each in inputs])
        outputs = np.concatenate([self.scorer.network(each) for each in inputs])
        answer = self.scorer.answer(evaluation.pool(outputs, rows))
        if not self.scorer.features:
            return answer
        means = evaluation.pool(np.concatenate(inputs), rows)
        return replace(answer, given=drift.of_matrix(self.scorer.features, means))

    def outputs(self, heard: Heard) -> np.ndarray:
        """The network's own answer to each segment of a track, float32 (segments, outputs)."""
        return self.scorer.network(self._inputs(heard))

    def _inputs(self, heard: Heard) -> np.ndarray:
        """What the dense network is given of each segment, float32 (segments, inputs)."""
        if self.model.network.front is not None:
            assert heard.mel is not None
            return self._front(crops.cut(heard.mel, self.listening))
        matrix = audio_training.segments(audio_training.embedding(heard), self.listening)
        columns = {name: matrix[:, place] for place, name in enumerate(audio_training.FEATURES)}
        return features.matrix(self.scorer.features, columns)[0]

    @cached_property
    def _front(self) -> fronts.Run:
        assert self.model.network.front is not None
        return fronts.compile(self.model.network.front, self.model.weights)

    def prepared(self, means: MeansOfAll) -> "Head":
        """Itself: a track's prediction does not depend on the others."""
        return self

    def files(self, heard: Heard) -> Iterator[TrackFile]:
        """None: nothing is asked that would need one."""
        return iter(())

    def compare(self, heard: Heard, truth: Truth) -> Mapping[str, float]:
        """Nothing: references are of notes and beats, which it does not hear."""
        return {}

    def claims(self, heard: Heard, labels: Sequence[str]) -> list[Claim]:
        """The named labels, or the likeliest; of a regression each target. Raises JobFailed for an unknown label."""
        known = head_judges.labels(self.model)
        unknown = [label for label in labels if label not in known]
        if unknown:
            said = f"the model knows no label {listed(unknown)}"
            fault = Fault(f"{said}, but {len(known):,} others", pointer="/params/explain/labels")
            raise JobFailed(f"There is nothing to explain: {said}.", code="label_unknown", faults=[fault])
        scores = head_judges.scores(self.model, self.outputs(heard))
        first = known[int(scores.mean(axis=0).argmax())]
        return [self._claim(label, scores[:, known.index(label)], heard) for label in labels or [first]]

    def _claim(self, label: str, scores: np.ndarray, heard: Heard) -> Claim:
        count = self._windows(heard)
        starts = crops.starts(count, self.listening).tolist()
        size = min(count, self.listening.windows_per_segment)
        found = [Segment(start, size, float(score)) for start, score in zip(starts, scores, strict=True)]
        return Claim(label, float(scores.mean()), found, head_judges.explained(self.model))

    def _windows(self, heard: Heard) -> int:
        return len(audio_training.embedding(heard)) if heard.mel is None else len(musicnn.windows(heard.mel))

    def judge(self, label: str) -> Judge:
        """The label's log-odds in a segment; of a regression the number itself, in the units of its training."""
        return head_judges.judge(self.model, self.listening, label)

    def summarise(self, totals: np.ndarray, rows: int) -> Json:
        return self.scorer.summarise(totals, rows)


def describe(params: AudioTraining) -> Json:
    """What the model's spec says of its input."""
    return {"format": "audio", "preset": params.learns_by, "listening": params.listens.model_dump(mode="json")}


def open(model: Model, scorer: Scorer, *, precision: Precision) -> Head:
    """A head ready to score. Raises JobFailed (integrity) when input and network do not belong together."""
    said = model.input or {}
    if said.get("preset") != ("embedding" if model.network.front is None else "network"):
        raise JobFailed("The model's files are damaged: restore them.", code="integrity")
    wants = Wants(mel=True) if model.network.front else Wants(taggers=EMBEDDING_NETWORKS, precision=precision)
    return Head(model, scorer, Listening.model_validate(said["listening"]), wants)
