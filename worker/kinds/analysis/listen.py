"""From what was heard of a track to its row of figures and its files."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from shared.audio_params import EMBEDDING_NETWORKS
from shared.errors import Fault, JobFailed
from shared.kinds.analysis import ScoreParams
from shared.pretrained import PRETRAINED, TAG_ALIASES, Pretrained
from worker import fields, note_files
from worker.audio import mel
from worker.heard import Heard, Truth, Wants
from worker.kinds.analysis import figures
from worker.kinds.analysis import truth as truths
from worker.lines import Field
from worker.listener import Claim, MeansOfAll
from worker.neighbours import Catalogue, fitting, nearest, unit
from worker.predictions import Answer
from worker.pretrained import musicnn
from worker.pretrained.notes import Thresholds
from worker.reasons import Judge, Segment
from worker.track_files import TrackFile

Json = dict[str, Any]

WINDOW_S = mel.WINDOW_FRAMES / mel.FRAMES_PER_S
# From so much on a tag is named in the summary and among the first tags of a row.
NAMED_FROM, NAMED_AT_MOST = 0.1, 5
MUSIC_PARTS = ("rhythm", "tonality", "spectrum", "character")
EVERY_PART = ("tags", *MUSIC_PARTS, "loudness", "embedding")


def open(model: str, params: ScoreParams) -> "Analyst":
    """Make a model of the service ready to hear."""
    pretrained = next(each for each in PRETRAINED if each.name == model)
    include = params.include or (EVERY_PART if pretrained.tags else ("notes",))
    if "tags" in include and not pretrained.tags:
        said = f"{model} knows no tags: score with etude.tagger-mtt or etude.tagger-msd, or leave tags out of include."
        raise JobFailed(said, code="invalid_params", faults=[Fault("expected no tags", pointer="/params/include")])
    return Analyst(pretrained, frozenset(include), params)


@dataclass(frozen=True)
class Analyst:
    """Hears what is wanted of each track, and says it."""

    model: Pretrained
    include: frozenset[str]
    params: ScoreParams
    # The nearest tracks of each, by its number, where they are asked for.
    neighbours: Mapping[int, Sequence[tuple[str, float]]] = field(default_factory=dict)

    @property
    def tagger(self) -> str:
        return self.model.tagger

    @property
    def wants(self) -> Wants:
        taggers = [self.tagger] if "tags" in self.include else []
        if "embedding" in self.include or self.params.similar is not None:
            taggers += [name for name in EMBEDDING_NETWORKS if name not in taggers]
        chosen = self.params.transcription
        notes = Thresholds(**chosen.model_dump()) if "notes" in self.include else None
        music = any(part in self.include for part in MUSIC_PARTS)
        return Wants(tuple(taggers), music=music, notes=notes, precision=self.params.precision)

    def prepared(self, means: MeansOfAll) -> "Analyst":
        """With the neighbours of each track, if they are asked for."""
        if self.params.similar is None:
            return self
        keys, vectors, numbers = [], [], []
        with closing(means(self.params.precision)) as heard:
            for track, mean in heard:
                keys.append(track.key)
                vectors.append(mean)
                numbers.append(track.number)
        catalogue = Catalogue(keys, unit(np.array(vectors, np.float32).reshape(len(keys), -1)), {})
        found = nearest(catalogue, range(len(keys)), self.params.similar.k, fitting(catalogue, {}))
        named = {
            number: [(keys[place], score) for place, score in each] for number, each in zip(numbers, found, strict=True)
        }
        return replace(self, neighbours=named)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that are said: all of the model's, or those that are left when near-duplicates are one."""
        return tuple(dict.fromkeys(self._plain(tag) for tag in self.model.tags))

    def _plain(self, tag: str) -> str:
        return TAG_ALIASES.get(tag, tag) if self.params.merge_tags else tag

    def answer(self, heard: Sequence[Heard]) -> Answer:
        """A row a track."""
        rows: dict[str, Field] = {}
        scores = self._scores(heard)
        if "tags" in self.include:
            rows["top_tags"] = pa.array([self._top(each) for each in scores], fields.TEXTS)
            rows["tags"] = {tag: pa.array(scores[:, place]) for place, tag in enumerate(self.tags)}
        for part in figures.SCHEMAS:
            if part in self.include:
                said = [each.ear.get(part) if part == "loudness" else (each.music or {}).get(part) for each in heard]
                rows[part] = fields.columns([figures.flat(part, each) for each in said], figures.SCHEMAS[part])
        if "embedding" in self.include:
            rows["embedding"] = pa.array([self._embedding(each) for each in heard], fields.NUMBERS)
        if "notes" in self.include:
            rows["notes"] = pa.array([len(each.notes or []) for each in heard], fields.COUNT)
        if self.params.similar is not None:
            rows.update(self._similar(heard))
        return Answer(rows, (scores >= NAMED_FROM).sum(axis=0).astype(np.float64))

    def _scores(self, heard: Sequence[Heard]) -> np.ndarray:
        """Mean over windows (tracks, tags), the largest of near-duplicates; no column without tags."""
        if "tags" not in self.include:
            return np.zeros((len(heard), 0), np.float32)
        return (
            np.stack([self.over_time(each).mean(axis=0) for each in heard])
            if heard
            else np.zeros((0, len(self.tags)), np.float32)
        )

    def over_time(self, heard: Heard) -> np.ndarray:
        """The score of each tag in each window, float32 (windows, tags)."""
        windows = heard.windows[self.tagger].tags
        if not self.params.merge_tags:
            return windows
        places: dict[str, list[int]] = {}
        for place, tag in enumerate(self.model.tags):
            places.setdefault(self._plain(tag), []).append(place)
        return np.stack([windows[:, chosen].max(axis=1) for chosen in places.values()], axis=1)

    def _top(self, scores: np.ndarray) -> list[str]:
        best = np.argsort(-scores, kind="stable")[:NAMED_AT_MOST]
        return [self.tags[place] for place in best if scores[place] >= NAMED_FROM]

    def _embedding(self, heard: Heard) -> list[float]:
        means = [heard.windows[name].embedding.mean(axis=0) for name in EMBEDDING_NETWORKS]
        return np.concatenate(means).astype(np.float64).round(6).tolist()

    def _similar(self, heard: Sequence[Heard]) -> dict[str, Field]:
        found = [self.neighbours.get(each.track.number, ()) for each in heard]
        return {
            "similar": {
                "tracks": pa.array([[key for key, _ in each] for each in found], fields.TEXTS),
                "scores": pa.array([[score for _, score in each] for each in found], fields.NUMBERS),
            }
        }

    def files(self, heard: Heard) -> Iterator[TrackFile]:
        """Tags over time and beats, if they are asked for; the notes in three forms."""
        if self.params.over_time and "tags" in self.include:
            yield TrackFile("tags.csv", "text/csv", self._tags_csv(heard))
        if self.params.over_time and "rhythm" in self.include:
            yield TrackFile("beats.csv", "text/csv", _beats_csv((heard.music or {})["rhythm"]))
        if "notes" in self.include:
            notes, title = heard.notes or [], heard.track.key
            yield TrackFile("notes.mid", "audio/midi", note_files.midi(notes))
            yield TrackFile("notes.csv", "text/csv", note_files.csv(notes))
            said = note_files.jams(
                notes,
                title=title,
                duration_s=heard.track.duration_s or 0.0,
                model=f"{self.model.name} {self.model.version}",
            )
            yield TrackFile("notes.jams", "application/json", json.dumps(said, indent=1).encode())

    def compare(self, heard: Heard, truth: Truth) -> dict[str, float]:
        """mir_eval's metrics, of what was heard and is known."""
        return truths.compare(heard, truth)

    def claims(self, heard: Heard, labels: Sequence[str]) -> list[Claim]:
        """The named tags, or the one with the highest score."""
        unknown = [label for label in labels if label not in self.tags]
        if unknown or "tags" not in self.include:
            said = f"{self.model.name} knows no tag {', '.join(map(repr, unknown)) or 'that was scored'}"
            fault = Fault(f"{said}: it knows {', '.join(self.tags)}", pointer="/params/explain/labels")
            raise JobFailed(f"There is nothing to explain: {said}.", code="label_unknown", faults=[fault])
        scores = self.over_time(heard)
        places = [self.tags.index(label) for label in labels] or [int(scores.mean(axis=0).argmax())]
        return [
            Claim(
                self.tags[place],
                float(scores[:, place].mean()),
                [Segment(number, 1, float(score)) for number, score in enumerate(scores[:, place])],
            )
            for place in places
        ]

    def judge(self, label: str) -> Judge:
        """The tag's logit, the mean over the windows."""
        return _judge(self.tagger, self.model.tags.index(label))

    def _tags_csv(self, heard: Heard) -> bytes:
        out = io.StringIO()
        table = csv.writer(out)
        table.writerow(["start_s", "end_s", *self.tags])
        for place, row in enumerate(self.over_time(heard)):
            table.writerow(
                [f"{place * WINDOW_S:.3f}", f"{(place + 1) * WINDOW_S:.3f}", *(f"{score:.6f}" for score in row)]
            )
        return out.getvalue().encode()

    def summarise(self, totals: np.ndarray, rows: int) -> Json:
        """How many tracks have each tag."""
        if "tags" not in self.include:
            return {"model": self.model.name}
        counts = {tag: int(count) for tag, count in zip(self.tags, totals, strict=True) if count}
        return {"model": self.model.name, "tags": dict(sorted(counts.items(), key=lambda each: -each[1]))}


@cache
def _judge(tagger: str, place: int) -> Judge:
    network = musicnn.load(tagger).differentiable

    def run(mel: Any) -> Any:  # Any: TensorFlow ships no types
        shape = tf.shape(mel)
        logits = network(tf.reshape(mel, (-1, shape[2], shape[3])))["logits"][:, place]
        return tf.reduce_mean(tf.reshape(logits, shape[:2]), axis=1)

    return run


def _beats_csv(rhythm: Json) -> bytes:
    return "\n".join(["time_s", *(f"{beat:.3f}" for beat in rhythm["beats"]), ""]).encode()
