"""musicnn for gradients: the fast network once more in TensorFlow, sixteen times as fast there as the plain one.

TensorFlow's gradient of a convolution with one input channel is fifteen times as slow as the convolution. So bands, and
in the rhythm's kernels seventeen frames, stand as channels here: more products, of which many are with zeros, and both
directions run at full speed. The weights are those of worker/pretrained/swift.py, without the constant filters.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from worker.audio.mel import BANDS, WINDOW_FRAMES
from worker.pretrained.live import Filters
from worker.pretrained.swift import Network, many_times

# 187 frames are 11 times 17.
PHASES = 17
BLOCKS = WINDOW_FRAMES // PHASES

Tensor = Any  # TensorFlow ships no types


class Slopes:
    """Log-mel (n, 187, 96) to {"tags", "logits", "embedding"}, as the plain network tells them."""

    def __init__(self, network: Network) -> None:
        self.network = network
        # Constants of TensorFlow: the largest has 11 MB, which would be copied in each call.
        self.over_bands = [tf.constant(_spread(timbre.filters)) for timbre in network.timbres]
        self.over_time = [tf.constant(_in_phases(part)) for part in network.rhythm.parts]
        self.places = tf.constant(np.eye(len(network.still), dtype=np.float32)[network.middle.channels])

    def __call__(self, mel: Tensor) -> dict[str, Tensor]:
        network = self.network
        mel = mel * network.scale + network.shift
        front = [
            *(
                _timbre(mel, kernel, each.filters)
                for kernel, each in zip(self.over_bands, network.timbres, strict=True)
            ),
            *(_rhythm(mel, kernel, each) for kernel, each in zip(self.over_time, network.rhythm.parts, strict=True)),
        ]
        seen = tf.concat(front, axis=2)
        ones = tf.ones_like(mel[..., :1])
        # Channels that stand still, and between them those that move.
        moved = _finish(_along_time(tf.concat([seen, ones], axis=2), network.middle.kernel), network.middle)
        first = tf.matmul(moved, self.places) + network.still
        second = _finish(_along_time(first, network.rest[0].kernel), network.rest[0]) + first
        third = _finish(_along_time(second, network.rest[1].kernel), network.rest[1]) + second
        features = tf.concat([seen, first, second, third], axis=2)
        pooled = tf.concat([tf.reduce_max(features, axis=1), tf.reduce_mean(features, axis=1)], axis=1)
        dense = (pooled * network.pooled_scale + network.pooled_shift) @ network.dense + network.bias
        embedding = tf.nn.relu(dense) * network.dense_scale + network.dense_shift
        logits = embedding @ network.last + network.last_bias
        return {"tags": tf.sigmoid(logits), "logits": logits, "embedding": embedding}


def _timbre(mel: Tensor, kernel: Tensor, filters: Filters) -> Tensor:
    sums = _along_time(mel, kernel)
    places = kernel.shape[2] // len(filters.bias)
    return _peaks(tf.reshape(sums, (-1, WINDOW_FRAMES, places, len(filters.bias))), 2, filters)


def _rhythm(mel: Tensor, kernel: Tensor, filters: Filters) -> Tensor:
    before = (len(filters.kernel) - 1) // 2
    after = (BLOCKS + len(kernel) - 1) * PHASES - WINDOW_FRAMES - before
    padded = tf.pad(tf.transpose(mel, (0, 2, 1)), ((0, 0), (0, 0), (before, after)))
    sums = tf.nn.conv1d(tf.reshape(padded, (-1, BLOCKS + len(kernel) - 1, PHASES)), kernel, 1, "VALID")
    return _peaks(tf.reshape(sums, (-1, BANDS, WINDOW_FRAMES, len(filters.bias))), 1, filters)


def _peaks(sums: Tensor, axis: int, filters: Filters) -> Tensor:
    return _finish(tf.reduce_max(sums, axis=axis) * filters.signs(), filters)


def _finish(sums: Tensor, filters: Filters) -> Tensor:
    return tf.nn.relu(sums + filters.bias) * filters.scale + filters.shift


def _along_time(features: Tensor, kernel: Tensor) -> Tensor:
    return tf.nn.conv1d(features, kernel, 1, "SAME")


def _spread(filters: Filters) -> np.ndarray:
    """A kernel (7, bands, filters) at each place along the bands: (7, 96, places * filters)."""
    taps, bands, count = filters.kernel.shape
    places = BANDS - bands + 1
    spread = np.zeros((taps, BANDS, places, count), np.float32)
    for place in range(places):
        spread[:, place : place + bands, place] = filters.kernel * filters.signs()
    return spread.reshape(taps, BANDS, -1)


def _in_phases(filters: Filters) -> np.ndarray:
    """A kernel along time at each of 17 frames, in blocks of 17: (blocks, 17, 17 * filters)."""
    matrix = many_times(filters, PHASES)
    blocks = -(-len(matrix) // PHASES)
    return np.pad(matrix, ((0, blocks * PHASES - len(matrix)), (0, 0))).reshape(blocks, PHASES, -1)
