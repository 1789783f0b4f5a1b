"""Convolutional fronts as Keras layers, and as a function for those who only want their answer.

The order is: gain and roll, in the units of the spectrogram; each band to mean 0 and deviation 1 of the training rows;
masks, whose 0 is then a band's mean, as in SpecAugment; the blocks; mean and maximum over time and bands.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from shared.fronts import WINDOW_FRAMES, Augmentation, Block, Front

Run = Callable[[np.ndarray], np.ndarray]
Tensor = Any  # TensorFlow and Keras ship no types

# Windows that are run together: the first convolution makes 1.1 MB of each, thrice.
WINDOWS_AT_ONCE = 64
# More rows than these tell a band's mean no better.
LEARNED_FROM = 4096
# Keras's default takes a thousand steps to forget where it began; a training on few recordings has some hundred.
MOMENTUM = 0.9
# Below this the deviation of a band is rounding: a band that is always silent stays 0.
LEAST_SCALE = 1e-3


def layers(front: Front) -> list[Any]:
    """The layers from log-mel (segments, frames, bands) to numbers (segments, outputs)."""
    made: list[Any] = [Normalization(name="front")]
    if front.augmentation is not None:
        made = [GainAndRoll(front.augmentation), *made, Masks(front.augmentation)]
    made.append(keras.layers.Reshape((front.frames, front.bands, 1)))
    for place, block in enumerate(front.blocks):
        made += _block(block, f"front_{place}")
    return [*made, MeanAndMaximum()]


def _block(block: Block, name: str) -> list[Any]:
    return [
        keras.layers.Conv2D(block.filters, 3, padding="same", use_bias=False, name=name),
        # First the maximum: what follows it then has a sixth of the numbers, and the training takes half the time.
        keras.layers.MaxPooling2D((block.frames, block.bands)),
        keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_normalization"),
        keras.layers.ReLU(),
    ]


def rows_at_once(front: Front) -> int:
    """How many segments are run together where nothing is learned."""
    return max(1, WINDOWS_AT_ONCE * WINDOW_FRAMES // front.frames)


def learn(model: keras.Sequential, x: np.ndarray) -> None:
    """Give a new model the mean and deviation of each band over the training rows (rows, frames, bands)."""
    chosen = x[np.linspace(0, len(x) - 1, min(len(x), LEARNED_FROM)).round().astype(np.int64)]
    total = np.zeros((2, x.shape[2]))
    for at in range(0, len(chosen), WINDOWS_AT_ONCE):
        some = chosen[at : at + WINDOWS_AT_ONCE].astype(np.float64)
        total += some.sum(axis=(0, 1)), (some**2).sum(axis=(0, 1))
    mean, square = total / (len(chosen) * x.shape[1])
    layer = model.get_layer("front")
    layer.mean.assign(mean)
    layer.scale.assign(np.maximum(np.sqrt(np.maximum(square - mean**2, 0)), LEAST_SCALE))


def compile(front: Front, weights: Mapping[str, np.ndarray]) -> Run:
    """A function from log-mel (segments, frames, bands), float16 or float32, to float32 (segments, outputs)."""
    model = plain(front, weights)
    signature = [tf.TensorSpec((None, front.frames, front.bands), tf.float32)]
    call = tf.function(lambda some: model(some, training=False), input_signature=signature, autograph=False)
    size = rows_at_once(front)

    def run(x: np.ndarray) -> np.ndarray:
        outputs = np.empty((len(x), front.outputs), np.float32)
        for at in range(0, len(x), size):
            outputs[at : at + size] = call(tf.constant(x[at : at + size], tf.float32)).numpy()
        return outputs

    return run


def plain(front: Front, weights: Mapping[str, np.ndarray]) -> keras.Sequential:
    """The front alone with its weights, without augmentation. Raises KeyError when one is missing."""
    bare = front.model_copy(update={"augmentation": None})
    model = keras.Sequential([keras.Input((front.frames, front.bands)), *layers(bare)])
    for name, variable in named(model):
        variable.assign(weights[name])
    return model


def named(model: keras.Sequential) -> list[tuple[str, Any]]:
    """Every variable that prediction needs, under names of ours: front.mean, front.0.kernel, front.0.gamma, …"""
    return [
        (f"{layer.name.removesuffix('_normalization').replace('_', '.')}.{variable.name}", variable)
        for layer in model.layers
        for variable in layer.weights
    ]


class Normalization(keras.layers.Layer):
    """(x - mean) / scale of each band; what they are is learned before the training, not by it."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        numbers = {"shape": (shape[-1],), "trainable": False}
        self.mean = self.add_weight(name="mean", initializer="zeros", **numbers)
        self.scale = self.add_weight(name="scale", initializer="ones", **numbers)

    def call(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale


class MeanAndMaximum(keras.layers.Layer):
    """Over frames and bands, side by side: (segments, frames, bands, filters) to (segments, 2 * filters)."""

    def call(self, x: Tensor) -> Tensor:
        return ops.concatenate([ops.mean(x, axis=(1, 2)), ops.max(x, axis=(1, 2))], axis=-1)


class _Augmenting(keras.layers.Layer):
    """Changes segments while it trains, and never otherwise."""

    def __init__(self, wanted: Augmentation) -> None:
        super().__init__()
        self.wanted = wanted
        # Its state is a variable of the model, and so in every checkpoint.
        self.seed = keras.random.SeedGenerator()

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return self.change(x) if training else x

    def change(self, x: Tensor) -> Tensor:
        """The changed segments, of the same shape: each kind says how."""
        raise NotImplementedError


class GainAndRoll(_Augmenting):
    """Another loudness and another beginning for each segment."""

    def change(self, x: Tensor) -> Tensor:
        rows, frames = ops.shape(x)[0], x.shape[1]
        if self.wanted.gain:
            decades = keras.random.uniform((rows, 1, 1), -self.wanted.gain, self.wanted.gain, seed=self.seed)
            x = louder(x, decades)
        if self.wanted.shift:
            share = keras.random.uniform((rows, 1), 0, self.wanted.shift, seed=self.seed)
            first = ops.cast(share * frames, "int32")
            places = (ops.arange(frames, dtype="int32")[None] + first) % frames
            x = ops.take_along_axis(x, places[:, :, None], axis=1)
        return x


def louder(x: Tensor, decades: Tensor) -> Tensor:
    """log10(1 + 10000 p) of the power p times 10^decades, from log10(1 + 10000 p): silence stays silence."""
    return ops.log10(1 + 10.0**decades * (10.0**x - 1))


class Masks(_Augmenting):
    """One band of frequencies and one stretch of time of each segment put to 0."""

    def change(self, x: Tensor) -> Tensor:
        rows = ops.shape(x)[0]
        kept_frames = self._kept(rows, x.shape[1], self.wanted.time_mask)
        kept_bands = self._kept(rows, x.shape[2], self.wanted.frequency_mask)
        return x * kept_frames[:, :, None] * kept_bands[:, None, :]

    def _kept(self, rows: Tensor, size: int, share: float) -> Tensor:
        """1, and 0 on one stretch of each row of 0 to share * size places, all as likely: (rows, size)."""
        most = int(share * size)
        width = ops.floor(keras.random.uniform((rows, 1), 0, most + 1, seed=self.seed))
        first = ops.floor(keras.random.uniform((rows, 1), seed=self.seed) * (size - width + 1))
        places = ops.arange(size, dtype="float32")[None]
        return ops.cast((places < first) | (places >= first + width), "float32")
