"""The networks of Pons & Serra's musicnn in Keras, layer by layer; every layer has the name of its tensors."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import ops

from worker.audio.mel import BANDS, WINDOW_FRAMES

EPSILON = 1e-3
TAGS = 50

Pool = tuple[tuple[int, int], tuple[int, int]]

# The sizes of the five poolings and their strides, as the shipped graphs have them. The package's own source builds
# msd-vgg with mtt-vgg's, and moves its tags by up to .27.
POOLS: dict[str, tuple[Pool, ...]] = {
    "mtt-vgg": (((4, 1), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4))),
    "msd-vgg": (((4, 1), (4, 1)), ((1, 4), (1, 4)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4))),
}

Tensor = Any  # a symbolic tensor of Keras


def build(name: str, *, convolutions: str = "float32") -> keras.Model:
    """One of the four networks, without weights; `convolutions` is Keras's name of what they compute in."""
    return _vgg(POOLS[name], convolutions) if name in POOLS else _musicnn(convolutions)


def _musicnn(convolutions: str) -> keras.Model:
    """Log-mel (n, frames, 96), of any number of frames, to tags (n, 50), logits (n, 50) and embedding (n, 200)."""
    mel = keras.Input((None, BANDS), name="mel")
    normal = _normalised(ops.expand_dims(mel, 3), 0)
    padded = keras.layers.ZeroPadding2D(((3, 3), (0, 0)))(normal)
    convolve = partial(_convolved, dtype=convolutions)
    fronts = [convolve(padded, place, (7, bands), 204) for place, bands in ((0, 38), (1, 67))]
    fronts += [
        convolve(normal, place, (frames, 1), 51, padding="same") for place, frames in ((2, 128), (3, 64), (4, 32))
    ]
    # The largest value over all places along the bands.
    front = ops.concatenate([ops.max(features, axis=2) for features in fronts], axis=2)
    first = _along_time(front, 5, convolve)
    second = _along_time(first, 6, convolve) + first
    third = _along_time(second, 7, convolve) + second
    features = ops.concatenate([front, first, second, third], axis=2)
    # The authors put the maximum and the mean of each channel side by side.
    pooled = ops.stack([ops.max(features, axis=1), ops.mean(features, axis=1)], axis=2)
    flat = _normalised(ops.reshape(pooled, (-1, 2 * features.shape[2])), 9)
    embedding = _normalised(keras.layers.Dense(200, activation="relu", name="dense")(flat), 10)
    return _with_outputs(mel, embedding, keras.layers.Dense(TAGS, name="dense_1"))


def _vgg(pools: tuple[Pool, ...], convolutions: str) -> keras.Model:
    """Log-mel (n, 187, 96) to tags (n, 50), logits (n, 50) and embedding (n, 256), which is the last pooling."""
    mel = keras.Input((WINDOW_FRAMES, BANDS), name="mel")
    features = _normalised(ops.expand_dims(mel, 3), 0)
    for place, (size, strides) in enumerate(pools, start=1):
        layer = keras.layers.Conv2D(128, 3, padding="same", activation="relu", name=f"{place}CNN", dtype=convolutions)
        features = keras.layers.MaxPooling2D(size, strides)(_normalised(layer(features), place))
    return _with_outputs(mel, keras.layers.Flatten()(features), keras.layers.Dense(TAGS, name="dense"))


def assign(model: keras.Model, tensors: dict[str, Any]) -> None:
    """Give a model the authors' weights. Raises KeyError when one is missing."""
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(tensors[f"{layer.name}/{variable.name}"])


def _with_outputs(mel: Tensor, embedding: Tensor, last: keras.layers.Layer) -> keras.Model:
    logits = last(embedding)
    return keras.Model(mel, {"tags": ops.sigmoid(logits), "logits": logits, "embedding": embedding})


def _normalised(features: Tensor, place: int) -> Tensor:
    name = f"batch_normalization_{place}" if place else "batch_normalization"
    return keras.layers.BatchNormalization(epsilon=EPSILON, name=name)(features)


def _convolved(
    features: Tensor, place: int, size: tuple[int, int], filters: int, *, dtype: str, padding: str = "valid"
) -> Tensor:
    name = f"conv2d_{place}" if place else "conv2d"
    layer = keras.layers.Conv2D(filters, size, padding=padding, activation="relu", name=name, dtype=dtype)
    return _normalised(layer(features), place + 1)


def _along_time(features: Tensor, place: int, convolve: Callable[..., Tensor]) -> Tensor:
    """A convolution of 7 frames over all channels at once, (n, frames, channels) to (n, frames, 64)."""
    padded = keras.layers.ZeroPadding2D(((3, 3), (0, 0)))(ops.expand_dims(features, 3))
    return ops.squeeze(convolve(padded, place, (7, features.shape[2]), 64), axis=2)
