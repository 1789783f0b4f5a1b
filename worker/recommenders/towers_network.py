"""The networks that rank while they learn: weights over the items that are played, one step, and what is kept of them.

`autoencoder` has vectors that are read and others that are found; `two_tower` has one of each item for both, a part of
its own and a part by what it is like, and learns to do with the second alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from shared.kinds.recommendation import TowerLayer
from shared.training_params import Training
from worker import optimizers
from worker.recommenders.histories import Weighting
from worker.recommenders.towers import Layer, Method, Towers
from worker.recommenders.towers_batches import Batch

Tensor = Any  # TensorFlow ships no types
Values = Mapping[str, Tensor]

# So small that at first an item is as likely as it is popular.
SPREAD = 0.05
# So many items are known by their content alone in a step; new ones will be so as well.
HIDDEN_SHARE = 0.3
# What is popular says less of who plays it: what one item says is as this power of its listeners when learning begins.
SAYS_POWER = -0.25
# Vectors, which l2 keeps short.
SHRUNK = ("reading", "vectors", "own", "content")
# Optimizers are many small operations, out of which XLA makes one pass over the weights: a third of the time of so
# many, and a second or two before the first.
COMPILED_FROM = 1_000_000
# A logit that no softmax gives anything.
NEVER = -1e9


@dataclass(frozen=True)
class Settings:
    """What a network is like, and how it learns."""

    method: Method
    weighting: Weighting
    embedding: int
    hidden: tuple[TowerLayer, ...]
    # The share of a history that is hidden.
    dropout: float
    l2: float
    # At most, where it may end before.
    epochs: int
    training: Training

    @property
    def layers(self) -> tuple[TowerLayer, ...]:
        """With the one that leads back to what was read, to which it is added."""
        if not self.hidden:
            return ()
        return (*self.hidden, TowerLayer(units=self.embedding, activation="linear"))


class Network:
    """Weights by name, and what moves them; `content` has a row for each item, of zeros where nothing is known."""

    def __init__(self, settings: Settings, listeners: np.ndarray, content: np.ndarray | None) -> None:
        self._settings = settings
        self._listeners, self._content = listeners, content
        played = listeners > 0
        self._near = None if content is None else tf.constant(content[played])
        drawn = _draw(settings, listeners[played], 0 if content is None else content.shape[1])
        self.weights = {name: keras.Variable(value, name=name.replace(".", "_")) for name, value in drawn.items()}
        self.optimizer = optimizers.optimizer(settings.training)
        self.optimizer.build(list(self.weights.values()))
        pairs = tf.TensorSpec([None, 2], tf.int64)
        said = [tf.TensorSpec([], tf.int64), pairs, tf.TensorSpec([None], tf.float32), pairs]
        self._gradients = tf.function(
            self._differentiated, autograph=False, input_signature=[*said, tf.TensorSpec([2], tf.int32)]
        )
        is_large = sum(value.size for value in drawn.values()) >= COMPILED_FROM
        self._update = tf.function(self._apply, autograph=False, jit_compile=is_large)

    def learn(self, batch: Batch, *, rate: float) -> float:
        """Move the weights by one batch; returns the loss of each that was to be found, before that, in nats."""
        self.optimizer.learning_rate.assign(rate)
        loss, gradients = self._gradients(
            *(tf.constant(each) for each in (np.int64(batch.rows), batch.read, batch.shares, batch.wanted, batch.seed))
        )
        self._update(gradients)
        return float(loss)

    def logits(self, batch: Batch) -> np.ndarray:
        """What it says of the items that are played, float32 (rows, played); nothing is hidden."""
        values = {name: tf.convert_to_tensor(variable.value) for name, variable in self.weights.items()}
        users, vectors, bias = self._outputs(values, batch.rows, batch.read, batch.shares, None)
        return np.asarray(tf.matmul(users, vectors, transpose_b=True) + bias)

    def _differentiated(self, rows: Tensor, read: Tensor, shares: Tensor, wanted: Tensor, seed: Tensor) -> Any:
        values = {name: tf.convert_to_tensor(variable.value) for name, variable in self.weights.items()}
        with tf.GradientTape() as tape:
            tape.watch(values)
            users, vectors, bias = self._outputs(values, rows, read, shares, seed)
            loss = _loss(users, vectors, bias, read, wanted)
        gradients = tape.gradient(loss, list(values.values()))
        return loss, [tf.convert_to_tensor(each) for each in gradients]

    def _apply(self, gradients: list[Tensor]) -> None:
        variables = list(self.weights.values())
        l2 = self._settings.l2
        shrunk = [
            each + l2 * variable.value if name in SHRUNK else each
            for each, (name, variable) in zip(gradients, self.weights.items(), strict=True)
        ]
        self.optimizer.apply(shrunk, variables)

    def _outputs(
        self, values: Values, rows: Tensor, read: Tensor, shares: Tensor, seed: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A vector of each row, and of each item a vector and a bias; without a seed nothing is left to chance."""
        if self._settings.method == "autoencoder":
            reading, vectors, bias = values["reading"], values["vectors"], values["bias"]
        else:
            vectors, bias = self._items(values, seed)
            reading = vectors
            shares = shares * tf.exp(tf.gather(values["says"], read[:, 1]))
        summed = tf.math.unsorted_segment_sum(
            tf.gather(reading, read[:, 1]) * shares[:, None], read[:, 0], tf.cast(rows, tf.int32)
        )
        return summed + self._through(values, summed, seed) if self._settings.layers else summed, vectors, bias

    def _items(self, values: Values, seed: Tensor | None) -> tuple[Tensor, Tensor]:
        own, popular = values["own"], values["bias"]
        if self._near is None:
            return own, popular
        if seed is not None:
            is_alone = tf.random.stateless_uniform(tf.shape(popular), seed) < HIDDEN_SHARE
            is_alone = tf.logical_and(is_alone, tf.reduce_any(self._near != 0, axis=1))
            own = tf.where(is_alone[:, None], 0.0, own)
            popular = tf.where(is_alone, values["typical"], popular)
        near = tf.matmul(self._near, values["content"])
        return own + near, popular + tf.linalg.matvec(self._near, values["content_bias"])

    def _through(self, values: Values, x: Tensor, seed: Tensor | None) -> Tensor:
        for place, layer in enumerate(self._settings.layers):
            kernel = _effective(values[f"layer.{place}.kernel"])
            x = tf.matmul(x, kernel) + values[f"layer.{place}.bias"]
            x = keras.activations.get(layer.activation)(x)
            if seed is not None and layer.dropout:
                kept = tf.random.stateless_uniform(tf.shape(x), seed + place + 1) >= layer.dropout
                x = tf.where(kept, x / (1 - layer.dropout), 0.0)
        return x

    def values(self) -> dict[str, np.ndarray]:
        """A copy of the weights."""
        return {name: np.array(variable.numpy()) for name, variable in self.weights.items()}

    def everything(self) -> dict[str, np.ndarray]:
        """A copy of the weights and of what the optimizer remembers."""
        optimizer = {f"optimizer.{place}": each for place, each in enumerate(self.optimizer.variables)}
        return self.values() | {name: np.array(variable.numpy()) for name, variable in optimizer.items()}

    def assign(self, values: Mapping[str, np.ndarray]) -> None:
        """Some of what `everything` returns."""
        optimizer = {f"optimizer.{place}": each for place, each in enumerate(self.optimizer.variables)}
        for name, value in values.items():
            (self.weights | optimizer)[name].assign(value)

    def towers(self) -> Towers:
        """What is kept of it, with a row for each item of the catalogue."""
        return _kept(self._settings, self.values(), self._listeners, self._content)


@tf.custom_gradient
def _loss(users: Tensor, vectors: Tensor, bias: Tensor, read: Tensor, wanted: Tensor) -> Any:
    """The mean negative log-likelihood of what is to be found; what was read cannot be.

    With its gradient, for which TensorFlow would go over all rows and items several times more.
    """
    logits = tf.tensor_scatter_nd_update(
        tf.matmul(users, vectors, transpose_b=True) + bias, read, tf.fill([tf.shape(read)[0]], NEVER)
    )
    total = tf.cast(tf.shape(wanted)[0], tf.float32)
    share = tf.math.bincount(tf.cast(wanted[:, 0], tf.int32), minlength=tf.shape(users)[0], dtype=tf.float32) / total
    largest = tf.reduce_max(logits, axis=1)
    powers = tf.exp(logits - largest[:, None])
    sums = tf.reduce_sum(powers, axis=1)
    found = tf.reduce_sum(tf.gather_nd(logits, wanted)) / total
    loss = tf.reduce_sum(share * (tf.math.log(sums) + largest)) - found

    def gradient(above: Tensor) -> Any:
        errors = powers * (above * share / sums)[:, None]
        errors = tf.tensor_scatter_nd_sub(errors, wanted, tf.fill([tf.shape(wanted)[0]], above / total))
        return (
            tf.matmul(errors, vectors), tf.matmul(errors, users, transpose_a=True), tf.reduce_sum(errors, axis=0),
            None, None,
        )  # fmt: skip

    return loss, gradient


def _draw(settings: Settings, listeners: np.ndarray, content: int) -> dict[str, np.ndarray]:
    """The weights before anything is learned; `content` is how wide that is, 0: there is none."""
    random, size = np.random.default_rng(settings.training.seed), settings.embedding
    bias = np.log(listeners / (listeners.sum() / max(1, len(listeners)))).astype(np.float32)
    layers: dict[str, np.ndarray] = {}
    for place, layer in enumerate(settings.layers):
        # Glorot and Bengio, AISTATS 2010.
        edge = np.sqrt(6 * size / (size + layer.units))
        layers[f"layer.{place}.kernel"] = random.uniform(-edge, edge, (size, layer.units)).astype(np.float32)
        layers[f"layer.{place}.bias"] = np.zeros(layer.units, np.float32)
        size = layer.units
    if layers:
        # What layers add begins at nothing: they learn what a sum does not say.
        layers[f"layer.{len(settings.hidden)}.kernel"][:] = 0

    def normal(*shape: int) -> np.ndarray:
        return random.normal(0, SPREAD, shape).astype(np.float32)

    if settings.method == "autoencoder":
        both = {"reading": normal(len(bias), size), "vectors": normal(len(bias), size)}
        return both | {"bias": bias} | layers
    items = {"own": normal(len(bias), size), "says": (SAYS_POWER * bias).astype(np.float32), "bias": bias}
    if not content:
        return items | layers
    by_content = {"content": normal(content, size), "content_bias": np.zeros(content, np.float32)}
    return items | by_content | {"typical": bias.sum() / np.float32(max(1, len(bias)))} | layers


def _effective(kernel: Any) -> Any:
    """A layer's kernel, which is learned times the root of its inputs.

    One step of an optimizer moves each weight as far: what is right for vectors would be far too much for sums of many.
    """
    return kernel * np.float32(kernel.shape[0] ** -0.5)


def _kept(
    settings: Settings, values: Mapping[str, np.ndarray], listeners: np.ndarray, content: np.ndarray | None
) -> Towers:
    played, is_known = listeners > 0, listeners > 0

    def spread(rows: np.ndarray, others: Any = 0) -> np.ndarray:
        found = np.zeros((len(listeners), *rows.shape[1:]), np.float32)
        found[~played], found[played] = others, rows
        return found

    if settings.method == "autoencoder":
        reading, vectors, bias = (spread(values[name]) for name in ("reading", "vectors", "bias"))
    elif content is None:
        vectors, bias = spread(values["own"]), spread(values["bias"])
        reading = vectors * np.exp(spread(values["says"]))[:, None]
    else:
        is_known = played | content.any(axis=1)
        vectors = spread(values["own"]) + content @ values["content"]
        bias = spread(values["bias"], values["typical"]) + content @ values["content_bias"]
        reading = vectors * np.exp(spread(values["says"]))[:, None]
    layers = tuple(
        Layer(_effective(values[f"layer.{place}.kernel"]), values[f"layer.{place}.bias"], layer.activation)
        for place, layer in enumerate(settings.layers)
    )
    unknown = np.flatnonzero(~is_known).astype(np.int32)
    return Towers(settings.method, settings.weighting, reading, layers, vectors, bias, unknown)
