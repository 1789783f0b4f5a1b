"""A network of sequences while it learns: its weights, their moving average, the optimizer, and one step of all three.

With several GPUs each has its share of a batch's rows (MirroredStrategy); without, everything is the same on one
device.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from shared.sequence_params import SequenceTraining
from worker import optimizers
from worker.sequences import network
from worker.sequences.network import Dropping, State, Window
from worker.sequences.spec import SequenceSpec
from worker.sequences.streams import Layout

Tensor = Any  # TensorFlow ships no types

# Each holds its graph, and what XLA has made of the recurrences in it.
KEPT = 4
# So early the average would mostly be what was drawn at the beginning.
AVERAGE_FROM = 10.0


class Learner:
    """Weights under the names of the spec, and what moves them."""

    def __init__(
        self,
        spec: SequenceSpec,
        weights: Mapping[str, np.ndarray],
        params: SequenceTraining,
        *,
        devices: Sequence[str] = (),
        half: bool = False,
    ) -> None:
        self._spec, self._params = spec, params
        several = len(devices) > 1 and params.batch_size % len(devices) == 0
        self._strategy = tf.distribute.MirroredStrategy(list(devices)) if several else tf.distribute.get_strategy()
        self.shares = len(devices) if several else 1
        with self._strategy.scope():
            self.weights = {name: keras.Variable(value, name=name.replace(".", "_")) for name, value in weights.items()}
            self.average = {name: keras.Variable(value, trainable=False) for name, value in weights.items()}
            # Keras would clip the share of each device by itself.
            self.optimizer = optimizers.optimizer(params.model_copy(update={"clip_norm": None}))
            self.optimizer.build(list(self.weights.values()))
        self._step = tf.function(self._distribute, autograph=False)
        self._gradients = compiled(spec, half=half).gradients
        # Optimizers are many small operations, out of which XLA makes one pass over the weights.
        self._update = tf.function(self._apply, autograph=False, jit_compile=True) if not several else self._apply

    @property
    def variables(self) -> dict[str, Any]:
        """Everything that a checkpoint holds, by a name of ours."""
        kept = {f"weight.{name}": variable for name, variable in self.weights.items()}
        kept |= {f"average.{name}": variable for name, variable in self.average.items()}
        return kept | {f"optimizer.{place}": each for place, each in enumerate(self.optimizer.variables)}

    def first_state(self, rows: int) -> State:
        """What is carried into the first window of rows, a share for each device."""
        state = network.first_state(self._spec, rows // self.shares)
        return self._strategy.experimental_distribute_values_from_function(lambda _: state) if self._is_split else state

    @property
    def _is_split(self) -> bool:
        return self.shares > 1

    def learn(self, layout: Layout, place: int, state: State, *, rate: float, seed: int) -> tuple[float, State]:
        """Move the weights by one window; returns its mean loss a token before that, and the next state."""
        arrays = (layout.before, layout.tokens, layout.codes, layout.context, layout.starts, layout.weights)
        self.optimizer.learning_rate.assign(rate)
        window = tuple(self._share(values[place]) for values in arrays)
        tokens = np.float32(max(1.0, layout.weights[place].sum() * self._spec.fields))
        loss, state = self._step(window, state, tf.constant(tokens), tf.constant(seed, tf.int32))
        return float(loss), state

    def _share(self, values: np.ndarray) -> Tensor:
        if not self._is_split:
            return tf.constant(values)
        parts = np.split(values, self.shares)
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )

    def _distribute(self, window: Any, state: State, tokens: Tensor, seed: Tensor) -> tuple[Tensor, State]:
        losses, state = self._strategy.run(self._move, (window, state, tokens, seed))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None), state

    def _move(self, window: Any, state: State, tokens: Tensor, seed: Tensor) -> tuple[Tensor, State]:
        """On one device: its share of the gradient, the sum of all shares, the step."""
        here = tf.distribute.get_replica_context()
        if self._is_split:
            seed = seed * self.shares + here.replica_id_in_sync_group
        values = {name: tf.convert_to_tensor(variable.value) for name, variable in self.weights.items()}
        loss, gradients, state = self._gradients(values, window, state, tokens, seed)
        self._update(here.all_reduce(tf.distribute.ReduceOp.SUM, gradients) if self._is_split else gradients)
        return loss, state

    def _apply(self, gradients: list[Tensor]) -> None:
        if self._params.clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self._params.clip_norm)
        # Keras sums over devices as well.
        self.optimizer.apply([each / self.shares for each in gradients], list(self.weights.values()))
        self._follow()

    def _follow(self) -> None:
        """The moving average, which at first follows closely."""
        done = tf.cast(self.optimizer.iterations.value, tf.float32)
        share = tf.minimum(tf.constant(self._params.average), done / (done + AVERAGE_FROM))
        for name, variable in self.average.items():
            variable.assign(variable.value + (1 - share) * (self.weights[name].value - variable.value))

    def judge(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        """By the averaged weights, without dropout: the loss of each token, and whether it was the likeliest.

        Both (windows, rows, steps, fields); what is no step is 0.
        """
        return measure(self._spec, {name: variable.numpy() for name, variable in self.average.items()}, layout)


@dataclass(frozen=True)
class Compiled:
    """What TensorFlow has made of a network; it takes seconds, and holds for any weights."""

    gradients: Any
    judge: Any


def compiled(spec: SequenceSpec, *, half: bool) -> Compiled:
    """The functions of a network, compiled when they are first called; those of the last few are kept."""
    return _compile(json.dumps(spec.as_json()), half)


@lru_cache(maxsize=KEPT)
def _compile(described: str, half: bool) -> Compiled:
    spec = SequenceSpec.from_json(json.loads(described))
    return Compiled(
        tf.function(lambda *each: _differentiated(spec, *each, half=half), autograph=False),
        tf.function(lambda *each: _measured(spec, *each), autograph=False),
    )


def measure(spec: SequenceSpec, weights: Mapping[str, Any], layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """As `Learner.judge`, of any weights."""
    run = compiled(spec, half=False).judge
    values = {name: tf.convert_to_tensor(value) for name, value in weights.items()}
    state, losses, hits = network.first_state(spec, layout.tokens.shape[1]), [], []
    for place in range(len(layout)):
        window = tuple(tf.constant(each[place]) for each in
                       (layout.before, layout.tokens, layout.codes, layout.context, layout.starts))  # fmt: skip
        loss, hit, state = run(values, window, state)
        there = layout.weights[place][..., None]
        losses.append(loss.numpy() * there)
        hits.append(hit.numpy() * there)
    return np.array(losses), np.array(hits)


def _differentiated(
    spec: SequenceSpec, values: Any, window: Any, state: State, tokens: Tensor, seed: Tensor, *, half: bool
) -> Any:
    """The loss a token, its gradient by each of the weights, and the next state."""
    before, chosen, codes, context, starts, weights = window
    with tf.GradientTape() as tape:
        tape.watch(values)
        seen = Window(before, codes, context, starts)
        said, state = network.logits(spec, values, seen, state, Dropping(seed), half=half)
        loss = tf.reduce_sum(_losses(said, chosen) * weights[..., None]) / tokens
    return loss, tape.gradient(loss, list(values.values())), state


def _measured(spec: SequenceSpec, values: Any, window: Any, state: State) -> Any:
    before, chosen, codes, context, starts = window
    said, state = network.logits(spec, values, Window(before, codes, context, starts), state, Dropping(None))
    is_hit = tf.equal(tf.argmax(said, -1, output_type=tf.int32), chosen)
    return _losses(said, chosen), tf.cast(is_hit, tf.float32), state


def _losses(said: Tensor, chosen: Tensor) -> Tensor:
    """Negative log-likelihood in nats of each chosen token."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=chosen, logits=said)
