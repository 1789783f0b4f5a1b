"""musicnn on a processor, five to ten times as fast as the plain network in TensorFlow, and no less exact.

Three things make the difference. Constant filters are not computed (worker/pretrained/live.py). What is pooled over all
bands is pooled before bias, ReLU and normalisation, which keep order or, where their scale is negative, turn it round.
And the two large convolutions take 14 products for what needs 42 (worker/pretrained/toom_cook.py), a piece at a time
that stays in the cache. NumPy alone: matrix products release the interpreter, so that threads add up.
"""

from math import pi

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from worker.audio.mel import BANDS, WINDOW_FRAMES
from worker.pretrained import live, threads
from worker.pretrained.live import Filters, Tensors
from worker.pretrained.toom_cook import algorithm

WINDOWS_A_PASS = 8

TAPS = 7  # frames under each kernel of the large convolutions and of the middle
OUTPUTS = 6  # frames at a time: 32 steps for 187 frames
STEP = algorithm(
    OUTPUTS, TAPS, (0, 1, -1, 1.5, -1.5, 1 / 1.5, -1 / 1.5, np.exp(1j * pi / 3), np.exp(2j * pi / 3))
)  # fmt: skip
BEFORE, AFTER = STEP.before.astype(np.float32), np.ascontiguousarray(STEP.after, np.float32)
STEPS = -(-WINDOW_FRAMES // OUTPUTS)
STEPS_AT_ONCE = 2  # divides STEPS; 68 filters of 59 places make 0.4 MiB of products, which the cache holds

LONGEST = 128  # frames under the longest of the kernels in time
TIMES = 12  # outputs a product: more of them need larger matrices, fewer are more calls
BLOCKS = -(-WINDOW_FRAMES // TIMES)


class Timbre:
    """A convolution of 7 frames by so many bands, and its largest value over all places along the bands."""

    def __init__(self, filters: Filters) -> None:
        self.filters = _single(filters)
        signed = filters.kernel * filters.signs()
        self.kernels = np.ascontiguousarray(np.einsum("pt,tbf->pbf", STEP.of_filter, signed), np.float32)

    def run(self, mel: np.ndarray) -> np.ndarray:
        """(n, 187, 96) to (n, 187, filters)."""
        products, bands, count = self.kernels.shape
        padded = np.zeros((len(mel), STEPS * OUTPUTS + TAPS - 1, BANDS), np.float32)
        padded[:, TAPS // 2 : TAPS // 2 + WINDOW_FRAMES] = mel
        pieces = sliding_window_view(padded, BEFORE.shape[1], axis=1)[:, ::OUTPUTS].swapaxes(2, 3)
        points = (BEFORE @ pieces).reshape(-1, products, BANDS)
        places = sliding_window_view(points, bands, axis=2).swapaxes(0, 1)
        peaks = np.empty((len(points), OUTPUTS, count), np.float32)
        wide = BANDS - bands + 1
        copied = np.empty((products, STEPS_AT_ONCE, wide, bands), np.float32)
        made = np.empty((products, STEPS_AT_ONCE * wide, count), np.float32)
        sums = np.empty((OUTPUTS, STEPS_AT_ONCE, wide, count), np.float32)
        for at in range(0, len(points), STEPS_AT_ONCE):
            np.copyto(copied, places[:, at : at + STEPS_AT_ONCE])
            np.matmul(copied.reshape(products, -1, bands), self.kernels, out=made)
            np.matmul(AFTER, made.reshape(products, -1), out=sums.reshape(OUTPUTS, -1))
            sums.max(axis=2, out=peaks[at : at + STEPS_AT_ONCE].swapaxes(0, 1))
        return _finish(self.filters, peaks.reshape(len(mel), -1, count))


class Rhythm:
    """Convolutions along time in each band, and their largest values over all bands."""

    def __init__(self, parts: list[Filters]) -> None:
        self.parts = [_single(part) for part in parts]
        self.kernels = [many_times(part, TIMES) for part in parts]

    def run(self, mel: np.ndarray) -> list[np.ndarray]:
        """(n, 187, 96) to (n, 187, filters) for each kernel."""
        padded = np.zeros((len(mel), BANDS, BLOCKS * TIMES + LONGEST - 1), np.float32)
        # An even kernel has its middle after the frame that it stands for.
        padded[..., LONGEST // 2 - 1 :][..., :WINDOW_FRAMES] = mel.swapaxes(1, 2)
        pieces = sliding_window_view(padded, TIMES + LONGEST - 1, axis=2)[:, :, ::TIMES].swapaxes(1, 2)
        peaks = [np.empty((len(mel), BLOCKS, kernel.shape[1]), np.float32) for kernel in self.kernels]
        for window, block in np.ndindex(len(mel), BLOCKS):
            piece = pieces[window, block].copy()
            for kernel, peak in zip(self.kernels, peaks, strict=True):
                aside = (piece.shape[1] - len(kernel)) // 2
                (piece[:, aside : aside + len(kernel)] @ kernel).max(axis=0, out=peak[window, block])
        return [
            _finish(part, peak.reshape(len(mel), BLOCKS * TIMES, -1))
            for part, peak in zip(self.parts, peaks, strict=True)
        ]


class Network:
    """The whole network, made of the authors' tensors."""

    def __init__(self, tensors: Tensors) -> None:
        # Before any product: to lift or set the limit while another thread computes may move a last bit there.
        threads.keep_products_whole()
        front = live.front(tensors)
        middle = live.middle(tensors, front)
        self.scale, self.shift = (value[0] for value in _singles(*live.normalisation(tensors, "batch_normalization")))
        self.timbres = [Timbre(part) for part in front.parts[:2]]
        self.rhythm = Rhythm(front.parts[2:])
        channels = np.concatenate([part.channels for part in front.parts])
        self.middle, self.still = _after(middle.parts[0], channels, front.still), middle.still.astype(np.float32)
        self.rest = [_whole(tensors, place) for place in (6, 7)]
        self._take_dense(tensors, channels, front.still)

    def _take_dense(self, tensors: Tensors, channels: np.ndarray, still: np.ndarray) -> None:
        """The dense layers, with what constants add to the first in its bias.

        Normalisation is not folded into the weights: the largest features would lose what float32 keeps of them.
        """
        # The authors put the maximum and the mean of each channel side by side.
        scale, shift = (part.reshape(-1, 2).T for part in live.normalisation(tensors, "batch_normalization_9"))
        kernel = tensors["dense/kernel"].reshape(-1, 2, len(tensors["dense/bias"])).swapaxes(0, 1)
        fixed = np.setdiff1d(np.arange(len(still)), channels)
        added = np.einsum("pc,pcf->f", still[fixed] * scale[:, fixed] + shift[:, fixed], kernel[:, fixed])
        kept = np.concatenate([channels, np.arange(len(still), kernel.shape[1])])
        self.pooled_scale, self.pooled_shift = _singles(scale[:, kept].reshape(-1), shift[:, kept].reshape(-1))
        self.dense, self.bias = _singles(kernel[:, kept].reshape(2 * len(kept), -1), tensors["dense/bias"] + added)
        self.dense_scale, self.dense_shift = _singles(*live.normalisation(tensors, "batch_normalization_10"))
        self.last, self.last_bias = tensors["dense_1/kernel"], tensors["dense_1/bias"]

    def run(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-mel (n, 187, 96) to tags (n, 50) and embedding (n, 200), float32."""
        tags = np.empty((len(windows), len(self.last_bias)), np.float32)
        embedding = np.empty((len(windows), len(self.bias)), np.float32)
        threads.keep_products_whole()
        for at in range(0, len(windows), WINDOWS_A_PASS):
            some = slice(at, at + WINDOWS_A_PASS)
            tags[some], embedding[some] = self._pass(windows[some])
        return tags, embedding

    def _pass(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mel = windows * self.scale + self.shift
        ones = np.ones((*mel.shape[:2], 1), np.float32)
        front = np.concatenate(
            [*(timbre.run(mel) for timbre in self.timbres), *self.rhythm.run(mel), ones], axis=2, dtype=np.float32
        )
        first = np.broadcast_to(self.still, (*mel.shape[:2], len(self.still))).copy()
        first[..., self.middle.channels] = _convolve(self.middle, front)
        second = _convolve(self.rest[0], first) + first
        third = _convolve(self.rest[1], second) + second
        features = np.concatenate([front[..., :-1], first, second, third], axis=2)
        pooled = np.concatenate([features.max(axis=1), features.mean(axis=1)], axis=1)
        dense = _each(pooled * self.pooled_scale + self.pooled_shift, self.dense) + self.bias
        embedding = np.maximum(dense, 0) * self.dense_scale + self.dense_shift
        return 1 / (1 + np.exp(-(_each(embedding, self.last) + self.last_bias))), embedding


def _each(vectors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Products that are the same to the last bit, whichever windows are heard together: one after the other."""
    products: np.ndarray = np.stack([vector @ matrix for vector in vectors])
    return products


def _singles(*arrays: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(array, np.float32) for array in arrays]


def _single(filters: Filters) -> Filters:
    kernel, bias, scale, shift = _singles(*filters[:4])
    return Filters(kernel, bias, scale, shift, filters.channels)


def _finish(filters: Filters, peaks: np.ndarray) -> np.ndarray:
    """What the frames beyond the window's end add is cut off, and peaks that were negated turn back."""
    peaks = peaks[:, :WINDOW_FRAMES] * filters.signs()
    return filters.finish(peaks)


def many_times(filters: Filters, times: int) -> np.ndarray:
    """A kernel along time (length, 1, filters) as a matrix: so many outputs in one product, side by side.

    Its shape is (length + times - 1, times * filters).
    """
    kernel = filters.kernel[:, 0] * filters.signs()
    matrix = np.zeros((len(kernel) + times - 1, times, kernel.shape[1]), np.float32)
    for time in range(times):
        matrix[time : time + len(kernel), time] = kernel
    return matrix.reshape(len(matrix), -1)


def _after(filters: Filters, channels: np.ndarray, still: np.ndarray) -> Filters:
    """The middle's first convolution over live channels, and one more of ones that stands for all constants.

    A bias could not: the zeros around the window replace the constants too.
    """
    constants = np.einsum("tcf,c->tf", filters.kernel, still)
    kernel = np.concatenate([filters.kernel[:, channels], constants[:, None]], axis=1)
    return _single(filters._replace(kernel=kernel))


def _whole(tensors: Tensors, place: int) -> Filters:
    """Convolution `place` of the middle, all of it."""
    kernel, bias = tensors[f"conv2d_{place}/kernel"][:, :, 0], tensors[f"conv2d_{place}/bias"]
    scale, shift = live.normalisation(tensors, f"batch_normalization_{place + 1}")
    return _single(Filters(kernel, bias, scale, shift, np.arange(len(bias))))


def _convolve(filters: Filters, features: np.ndarray) -> np.ndarray:
    """A convolution along time, (n, 187, channels) to (n, 187, filters), zeros around the window."""
    taps, channels, count = filters.kernel.shape
    padded = np.pad(features, ((0, 0), (taps // 2, taps // 2), (0, 0)))
    products = padded @ filters.kernel.swapaxes(0, 1).reshape(channels, -1)
    sums = products[:, :WINDOW_FRAMES, :count].copy()
    for tap in range(1, taps):
        sums += products[:, tap : tap + WINDOW_FRAMES, tap * count : (tap + 1) * count]
    return filters.finish(sums)
