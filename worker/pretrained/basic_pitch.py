"""Pretrained transcriber: how likely it is that each key of a piano sounds, or begins to sound, at each moment.

Basic Pitch of Bittner et al. (ICASSP 2022, arXiv 2203.09893). The network is rebuilt here with the weights from its
authors' package; no graph of theirs is run. What becomes a note is decided in worker/pretrained/notes.py.
"""

from functools import cache
from threading import Lock

import keras
import numpy as np
import tensorflow as tf

from shared.pretrained import BASIC_PITCH, TRANSCRIBER_FILES
from worker.pretrained import constant_q, weights
from worker.pretrained.constant_q import HOP
from worker.pretrained.notes import Posteriors

KEYS, CONTOURS = 88, 264
WINDOW_SAMPLES, WINDOW_FRAMES = 43_844, 172
# At each edge of a window so many frames are dropped, since half of what they would hear lies outside.
EDGE_FRAMES = 15
STEP_SAMPLES = WINDOW_SAMPLES - 2 * EDGE_FRAMES * HOP
STEP_FRAMES = WINDOW_FRAMES - 2 * EDGE_FRAMES
# Bounds memory: the widest layer makes 2 MB a window. More at once are not faster.
WINDOWS_A_CALL = 8

# How many bins above each bin its harmonics lie: the octave below, the tone itself, and its multiples up to seven.
HARMONICS = [round(constant_q.BINS_AN_OCTAVE * float(np.log2(ratio))) for ratio in (0.5, 1, 2, 3, 4, 5, 6, 7)]
# Keras' default, with which the authors trained.
EPSILON = 1e-3

# A cache alone lets two threads make the same at once.
_loading = Lock()

Tensors = dict[str, np.ndarray]


class Transcriber:
    """The network, ready to run; safe to be called by several threads at once."""

    def __init__(self) -> None:
        tensors = read()
        self.model = network(tensors)
        self._front = _FrontEnd(*_scale_and_shift(tensors, 0))
        self._call = tf.function(self._judge, input_signature=[tf.TensorSpec((None, WINDOW_SAMPLES), tf.float32)])

    def run(self, waveform: np.ndarray) -> Posteriors:
        """Mono float32 at 22,050 Hz to one row of posteriors for each 256 samples, about.

        The authors' windows, joined as they join them, but cut where the sound ends: they take 86 frames a second where
        there are 86.6, and so lose the last .7 % of a recording, 12 s of half an hour.
        """
        count = _count_frames(len(waveform))
        found = Posteriors(*(np.empty((count, width), np.float32) for width in (KEYS, KEYS, CONTOURS)))
        before = np.zeros(EDGE_FRAMES * HOP, np.float32)
        padded = np.concatenate([before, waveform, np.zeros(WINDOW_SAMPLES, np.float32)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::STEP_SAMPLES]
        for at in range(0, -(-count // STEP_FRAMES), WINDOWS_A_CALL):
            some = self._call(tf.constant(windows[at : at + WINDOWS_A_CALL]))
            for whole, part in zip(found, some, strict=True):
                joined = part.numpy().reshape(-1, whole.shape[1])
                place = whole[at * STEP_FRAMES : at * STEP_FRAMES + len(joined)]
                place[:] = joined[: len(place)]
        return found

    def _judge(self, windows: tf.Tensor) -> list[tf.Tensor]:
        """Windows (n, 43844) to onset, note and contour, each (n, 142, width)."""
        heads = self.model(self._front.hear(windows), training=False)
        return [tf.squeeze(head[:, EDGE_FRAMES:-EDGE_FRAMES], axis=3) for head in heads]


def _count_frames(samples: int) -> int:
    """How many frames begin before the sound ends."""
    full, rest = divmod(samples, STEP_SAMPLES)
    return full * STEP_FRAMES + min(STEP_FRAMES, -(-rest // HOP))


def load() -> Transcriber:
    """The transcriber, made once a process. Raises JobFailed when its files are missing or are not what we know."""
    with _loading:
        return _load()


@cache
def _load() -> Transcriber:
    return Transcriber()


def read() -> Tensors:
    """The authors' tensors: "3/kernel" is the kernel of the fourth layer that has any."""
    files = [weights.find(BASIC_PITCH, path, digest) for path, digest in TRANSCRIBER_FILES.items()]
    reader = tf.train.load_checkpoint(str(files[0].with_suffix("")))
    prefix, suffix = "layer_with_weights-", "/.ATTRIBUTES/VARIABLE_VALUE"
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith(prefix) and "OPTIMIZER" not in name]
    return {name.removeprefix(prefix).removesuffix(suffix): reader.get_tensor(name) for name in names}


def network(tensors: Tensors) -> keras.Model:
    """Harmonic spectra (n, 172, 264, 8) to posteriors: onset and note (n, 172, 88, 1), contour (n, 172, 264, 1).

    The normalisations are folded into the convolutions before them: they only scale and shift once trained.
    """
    spectra = keras.Input((WINDOW_FRAMES, CONTOURS, len(HARMONICS)), name="spectra")
    contour = _convolved(_convolved(spectra, tensors, 1, normal=2), tensors, 3, activation="sigmoid")
    note = _convolved(_convolved(contour, tensors, 4, stride=3), tensors, 7, activation="sigmoid")
    attack = _convolved(spectra, tensors, 5, normal=6, stride=3)
    onset = _convolved(keras.layers.Concatenate()([note, attack]), tensors, 8, activation="sigmoid")
    model = keras.Model(spectra, [onset, note, contour])
    model.trainable = False
    return model


def _convolved(
    features: keras.KerasTensor,
    tensors: Tensors,
    number: int,
    *,
    normal: int | None = None,
    stride: int = 1,
    activation: str = "relu",
) -> keras.KerasTensor:
    """Features after the convolution of that number, and after the normalisation of the other."""
    kernel, bias = tensors[f"{number}/kernel"], tensors[f"{number}/bias"]
    if normal is not None:
        scale, shift = _scale_and_shift(tensors, normal)
        kernel, bias = kernel * scale, bias * scale + shift
    height, width, _, filters = kernel.shape
    layer = keras.layers.Conv2D(
        filters,
        (height, width),
        strides=(1, stride),
        padding="same",
        activation=activation,
        name=f"convolution_{number}",
    )
    convolved = layer(features)
    layer.set_weights([kernel, bias])
    return convolved


def _scale_and_shift(tensors: Tensors, number: int) -> tuple[np.ndarray, np.ndarray]:
    """What a batch normalisation does once it is trained."""
    scale = tensors[f"{number}/gamma"] / np.sqrt(tensors[f"{number}/moving_variance"] + EPSILON)
    return scale, tensors[f"{number}/beta"] - tensors[f"{number}/moving_mean"] * scale


class _FrontEnd:
    """From samples to spectra in which a tone and its harmonics lie in one place, one behind the other.

    In double precision up to the decibels: beside a clean tone single precision's rounding is all that the silent bins
    hold, a logarithm makes .01 of it, and the posteriors would differ by 1e-3 from one processor to the next.
    """

    def __init__(self, scale: np.ndarray, shift: np.ndarray) -> None:
        self._scale, self._shift = scale, shift
        parts = (constant_q.kernels(), constant_q.lengths(), constant_q.halving())
        self._kernels, self._lengths, self._halving = (part.astype(np.float64) for part in parts)

    def hear(self, windows: tf.Tensor) -> tf.Tensor:
        """Windows (n, 43844) to (n, 172, 264, 8)."""
        relative = _relative(self._power(tf.cast(windows, tf.float64)))
        spectra = tf.cast(relative, tf.float32) * self._scale + self._shift
        return tf.stack([_raised(spectra, bins) for bins in HARMONICS], axis=3)

    def _power(self, samples: tf.Tensor) -> tf.Tensor:
        """The constant-Q transform's power, (n, 172, 309): the highest octave first, then half the samples."""
        octaves = []
        for octave in range(constant_q.OCTAVES):
            octaves.append(self._octave(samples, HOP >> octave))
            samples = self._halve(samples)
        lowest_first = tf.concat(octaves[::-1], axis=2)
        # The lowest octave is not needed in full.
        return lowest_first[:, :, -constant_q.BINS :] * self._lengths

    def _octave(self, samples: tf.Tensor, hop: int) -> tf.Tensor:
        """(n, 172, 36): frames lie around each hop-th sample; beyond the ends the sound is mirrored."""
        half = constant_q.SPAN // 2
        mirrored = tf.pad(samples, [[0, 0], [half, half]], "REFLECT")
        parts = tf.square(tf.signal.frame(mirrored, constant_q.SPAN, hop) @ self._kernels)
        return parts[:, :, : constant_q.BINS_AN_OCTAVE] + parts[:, :, constant_q.BINS_AN_OCTAVE :]

    def _halve(self, samples: tf.Tensor) -> tf.Tensor:
        """Half as many samples, (n, half); of the filter's 255 zeros, 127 stand in front."""
        half = samples.shape[1] // 2
        blocks = -(-half // constant_q.BLOCK)
        span, step = len(self._halving), 2 * constant_q.BLOCK
        front = (constant_q.TAPS - 1) // 2
        behind = (blocks - 1) * step + span - front - samples.shape[1]
        padded = tf.pad(samples, [[0, 0], [front, behind]])
        halved = tf.signal.frame(padded, span, step) @ self._halving
        return tf.reshape(halved, (-1, blocks * constant_q.BLOCK))[:, :half]


def _relative(power: tf.Tensor) -> tf.Tensor:
    """Decibels between the quietest and the loudest place of each window, from 0 to 1; silence is 0."""
    # A power of 1e-10 is 100 dB below 1, and keeps the logarithm finite.
    loudness = tf.math.log(power + 1e-10)
    above = loudness - tf.reduce_min(loudness, axis=[1, 2], keepdims=True)
    return tf.math.divide_no_nan(above, tf.reduce_max(above, axis=[1, 2], keepdims=True))


def _raised(spectra: tf.Tensor, bins: int) -> tf.Tensor:
    """(n, 172, 264): what lies so many bins above each bin, and zeros where that is outside."""
    first = max(bins, 0)
    there = spectra[:, :, first : max(CONTOURS + bins, 0)]
    below = max(-bins, 0)
    return tf.pad(there, [[0, 0], [0, 0], [below, CONTOURS - below - there.shape[2]]])
