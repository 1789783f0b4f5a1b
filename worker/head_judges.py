"""The log-odds of a label as one differentiable function, from mel windows to the last layer of a trained head.

What scoring does in NumPy is here in TensorFlow, for its gradients; a test holds the two equal.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from shared.audio_params import EMBEDDING_NETWORKS, Listening
from worker import audio_training, features, fronts, networks
from worker.artifacts import Model
from worker.features import Number
from worker.pretrained import musicnn
from worker.reasons import Explained, Judge

Tensor = Any  # TensorFlow ships no types
Ear = Callable[[Tensor], Tensor]
# The ends of a feature, and what they are where it has none.
FENCES = (("low", -np.inf), ("high", np.inf))


def labels(model: Model) -> list[str]:
    """What can be explained: the labels, or the targets of a regression."""
    return list(model.target.get("labels") or model.target["columns"])


def explained(model: Model) -> Explained:
    """What a judge's figure is."""
    return "log_odds" if "labels" in model.target else "prediction"


def scores(model: Model, outputs: np.ndarray) -> np.ndarray:
    """From the network's outputs to a score for each of `labels` (rows, labels), of a regression in its own units."""
    if "labels" not in model.target:
        return outputs * np.array(model.target["scale"]) + np.array(model.target["mean"])
    if model.target.get("encoding") != "binary":
        return outputs
    is_positive = np.array([label == model.target["positive"] for label in labels(model)])
    return np.where(is_positive, outputs, 1 - outputs)


def judge(model: Model, listening: Listening, label: str) -> Judge:
    """From mel windows (paths, windows, frames, bands) of one segment to the label's log-odds (paths,).

    Of a regression it is the prediction, in the client's units.
    """
    hear = _hears(model, listening)
    spec = replace(model.network, front=None, output_activation="linear")
    dense = networks.build(spec, seed=0)
    networks.assign(dense, model.weights)

    def run(mel: Tensor) -> Tensor:
        return _odds(model, label, dense(hear(mel), training=False))

    return run


def _odds(model: Model, label: str, logits: Tensor) -> Tensor:
    encoding, place = model.target.get("encoding"), labels(model).index(label)
    if encoding is None:
        return logits[:, place] * model.target["scale"][place] + model.target["mean"][place]
    if encoding == "binary":
        return logits[:, 0] if label == model.target["positive"] else -logits[:, 0]
    if encoding == "one_hot":
        others = [other for other in range(logits.shape[1]) if other != place]
        return logits[:, place] - tf.reduce_logsumexp(tf.gather(logits, others, axis=1), axis=1)
    return logits[:, place]


def _hears(model: Model, listening: Listening) -> Ear:
    """From mel windows to the inputs of the first dense layer."""
    if model.network.front is None:
        return _embedding(model)
    front, size = fronts.plain(model.network.front, model.weights), listening.windows_per_segment

    def run(mel: Tensor) -> Tensor:
        # A track that is shorter than a segment is repeated, as when it was scored.
        whole = tf.gather(mel, np.arange(size) % mel.shape[1], axis=1)
        return front(tf.reshape(whole, (-1, size * mel.shape[2], mel.shape[3])), training=False)

    return run


def _embedding(model: Model) -> Ear:
    taggers = [musicnn.load(name).differentiable for name in EMBEDDING_NETWORKS]
    learned = [each for each in features.from_json(model.preprocessing) if isinstance(each, Number)]
    places = [audio_training.FEATURES.index(each.name) for each in learned]
    low, high = (np.array([_or(getattr(each, end), wide) for each in learned], np.float32) for end, wide in FENCES)
    mean, scale = (np.array([getattr(each, name) for each in learned], np.float32) for name in ("mean", "scale"))

    def run(mel: Tensor) -> Tensor:
        flat = tf.reshape(mel, (-1, mel.shape[2], mel.shape[3]))
        each = tf.concat([tagger(flat)["embedding"] for tagger in taggers], axis=1)
        whole = tf.reduce_mean(tf.reshape(each, (-1, mel.shape[1], each.shape[1])), axis=1)
        return (tf.clip_by_value(tf.gather(whole, places, axis=1), low, high) - mean) / scale

    return run


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
