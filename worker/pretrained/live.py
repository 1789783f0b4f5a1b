"""Which filters of a trained musicnn still answer to their input; the others are constants.

The authors trained with weight decay, and it wore most filters of the front end down to nothing: of 561, mtt-musicnn
has 216 left that can move the layers after them, msd-musicnn 64. Interval arithmetic over all that a log-mel can be
tells which.
"""

from typing import NamedTuple

import numpy as np

Tensors = dict[str, np.ndarray]

# The largest log-mel that the bounds hold for; a square wave at full scale makes 6.9.
LOUDEST = 8.0
# The most that a filter may move all sums of the layers after it together and still count as a constant. The bound is
# far from reached: what is dropped moves a tag by less than 1e-6, which a test holds.
INFLUENCE = 1e-3
EPSILON = 1e-3  # of the authors' batch normalisation
FRONT = ("conv2d", "conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4")
FRONT_FILTERS = 561


class Filters(NamedTuple):
    """Live filters of one layer: relu(kernel * x + bias) * scale + shift, and which channels they are."""

    kernel: np.ndarray  # (time, bands, filters), float64
    bias: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    channels: np.ndarray

    def finish(self, sums: np.ndarray) -> np.ndarray:
        """From sums of products (…, filters) to the layer's output, in place."""
        sums += self.bias
        np.maximum(sums, 0, out=sums)
        sums *= self.scale
        sums += self.shift
        return sums

    def signs(self) -> np.ndarray:
        """-1 where normalisation turns the largest value into the smallest."""
        return np.where(self.scale < 0, np.float32(-1), np.float32(1))


class Layer(NamedTuple):
    """What moves of a layer, what stands still (zero where something moves), and between what each channel stays."""

    parts: list[Filters]
    still: np.ndarray
    low: np.ndarray
    high: np.ndarray


def normalisation(tensors: Tensors, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Batch normalisation of a trained network as (scale, shift), float64."""
    mean, variance, gamma, beta = (
        tensors[f"{name}/{part}"].astype(np.float64) for part in ("moving_mean", "moving_variance", "gamma", "beta")
    )
    scale = gamma / np.sqrt(variance + EPSILON)
    return scale, beta - scale * mean


def front(tensors: Tensors) -> Layer:
    """The five front-end convolutions."""
    scale, shift = normalisation(tensors, "batch_normalization")
    # Zeros stand around the window, so zero is always among the values.
    low, high = min(shift[0], 0), max(LOUDEST * scale[0] + shift[0], 0)
    gain = _gain(tensors, "conv2d_5", "batch_normalization_6") + _pooled_gain(tensors)[:FRONT_FILTERS]
    layers, first = [], 0
    for place, name in enumerate(FRONT):
        layer = _layer(tensors, name, f"batch_normalization_{place + 1}", bounds=(low, high), first=first, gain=gain)
        layers.append(layer)
        first += len(layer.still)
    return Layer(
        [layer.parts[0] for layer in layers],
        *(np.concatenate(arrays) for arrays in zip(*(layer[1:] for layer in layers), strict=True)),
    )


def middle(tensors: Tensors, before: Layer) -> Layer:
    """The first convolution after the front end."""
    # Its output is pooled three times: itself, and in both sums that go on from it.
    pooled = _pooled_gain(tensors)[FRONT_FILTERS:].reshape(3, -1).sum(axis=0)
    gain = _gain(tensors, "conv2d_6", "batch_normalization_7") + pooled
    low, high = np.minimum(before.low, 0)[:, None], np.maximum(before.high, 0)[:, None]
    return _layer(tensors, "conv2d_5", "batch_normalization_6", bounds=(low, high), first=0, gain=gain)


def _layer(
    tensors: Tensors,
    name: str,
    normalised: str,
    *,
    bounds: tuple[float | np.ndarray, float | np.ndarray],
    first: int,
    gain: np.ndarray,
) -> Layer:
    kernel, bias = (tensors[f"{name}/{part}"].astype(np.float64) for part in ("kernel", "bias"))
    kernel = kernel[:, :, 0]
    scale, shift = normalisation(tensors, normalised)
    ends = [kernel * end for end in bounds]
    least, most = np.minimum(*ends).sum(axis=(0, 1)) + bias, np.maximum(*ends).sum(axis=(0, 1)) + bias
    ends = [np.maximum(end, 0) * scale + shift for end in (least, most)]
    low, high = np.minimum(*ends), np.maximum(*ends)
    moves = (high - low) * gain[first : first + len(bias)] > INFLUENCE
    filters = Filters(kernel[..., moves], bias[moves], scale[moves], shift[moves], first + np.flatnonzero(moves))
    return Layer([filters], np.where(moves, 0, (low + high) / 2), low, high)


def _gain(tensors: Tensors, name: str, normalised: str) -> np.ndarray:
    """By how much one unit of each input channel can move all sums of a convolution (7, channels, 1, filters)."""
    kernel = np.abs(tensors[f"{name}/kernel"][:, :, 0]).sum(axis=0, dtype=np.float64)
    return kernel @ np.abs(normalisation(tensors, normalised)[0])


def _pooled_gain(tensors: Tensors) -> np.ndarray:
    """The same for each channel that is pooled, through its maximum and its mean into the dense layer."""
    scale = np.abs(normalisation(tensors, "batch_normalization_9")[0])
    return (np.abs(tensors["dense/kernel"]).sum(axis=1) * scale).reshape(-1, 2).sum(axis=1)
