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
        """With the one that leads to where the items' vectors are."""
        if self.method == "autoencoder" or not self.hidden:
            return self.hidden
        return (*self.hidden, TowerLayer(units=self.embedding, activation="linear"))


class Network:
    """Weights by name, and what moves them; `content` has a row for each item, of zeros where nothing is known."""

    def __init__(self, settings: Settings, listeners: np.ndarray, content: np.ndarray | None) -> None:
        self._settings = settings
        self._played = np.flatnonzero(listeners > 0)
        self._content = content
        self._near = None if content is None else tf.constant(content[self._played])
        drawn = _draw(settings, listeners[self._played], 0 if content is None else content.shape[1])
        self.weights = {name: keras.Variable(value, name=name.replace(".", "_")) for name, value in drawn.items()}
        self.optimizer = optimizers.optimizer(settings.training)
        self.optimizer.build(list(self.weights.values()))
        pairs = tf.TensorSpec([None, 2], tf.int64)
        said = [tf.TensorSpec([], tf.int64), pairs, tf.TensorSpec([None], tf.float32), pairs]
        self._gradients = tf.function(
            self._differentiated, autograph=False, input_signature=[*said, tf.TensorSpec([2], tf.int32)]
        )
        # Optimizers are many small operations, out of which XLA makes one pass over the weights.
        self._update = tf.function(self._apply, autograph=False, jit_compile=True)

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
        unconnected = tf.UnconnectedGradients.ZERO
        return loss, tape.gradient(loss, list(values.values()), unconnected_gradients=unconnected)

    def _apply(self, gradients: list[Tensor]) -> None:
        variables = list(self.weights.values())
        l2 = self._settings.l2
        shrunk = [
            each + l2 * variable.value if len(variable.shape) == 2 else each
            for each, variable in zip(gradients, variables, strict=True)
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
        return self._through(values, summed, seed), vectors, bias

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
            x = tf.matmul(x, values[f"layer.{place}.kernel"]) + values[f"layer.{place}.bias"]
            x = keras.activations.get(layer.activation)(x)
            if seed is not None and layer.dropout:
                kept = tf.random.stateless_uniform(tf.shape(x), seed + place + 1) >= layer.dropout
                x = tf.where(kept, x / (1 - layer.dropout), 0.0)
        return x

    def values(self) -> dict[str, np.ndarray]:
        """A copy of the weights."""
        return {name: np.array(variable.value) for name, variable in self.weights.items()}

    def everything(self) -> dict[str, np.ndarray]:
        """A copy of the weights and of what the optimizer remembers."""
        remembered = {f"optimizer.{place}": np.array(each.value) for place, each in enumerate(self.optimizer.variables)}
        return self.values() | remembered

    def assign(self, values: Mapping[str, np.ndarray]) -> None:
        """Some of what `everything` returns."""
        optimizer = {f"optimizer.{place}": each for place, each in enumerate(self.optimizer.variables)}
        for name, value in values.items():
            (self.weights | optimizer)[name].assign(value)

    def towers(self, values: Mapping[str, np.ndarray] | None = None) -> Towers:
        """What is kept of it, with a row for each item of the catalogue."""
        return self._towers(self.values() if values is None else values)
