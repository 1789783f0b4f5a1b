"""Pretrained taggers: what a listener would call three seconds of music, and where they lie among all music.

Four networks of Pons & Serra (2019, arXiv 1909.06654): musicnn and a plain VGG, each trained on MagnaTagATune and on
the Million Song Dataset. They are rebuilt here with the weights from their authors' package; no graph of its is run.
"""

from collections.abc import Callable
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from shared.pretrained import MSD_TAGS, MTT_TAGS, MUSICNN, TAGGER_FILES
from worker import cores
from worker.audio.mel import BANDS, WINDOW_FRAMES
from worker.pretrained import graphs, swift, weights
from worker.pretrained.slopes import Slopes

NAMES = ("mtt-musicnn", "msd-musicnn", "mtt-vgg", "msd-vgg")
# So many threads that call `run` keep all processors busy.
THREADS = cores.count()
# Bounds memory: the first convolution of vgg makes 9 MB a window.
WINDOWS_A_CALL = 8

# A cache alone lets two threads make the same at once.
_loading = Lock()

SIGNATURE = [tf.TensorSpec((None, WINDOW_FRAMES, BANDS), tf.float32)]

Precision = Literal["float32", "bfloat16"]
Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class Tagger:
    """One of the four, ready to run; safe to be called by several threads at once."""

    def __init__(self, name: str, precision: Precision = "float32") -> None:
        self.name = name
        self.precision = precision if has_bfloat16() else "float32"
        self.tags: tuple[str, ...] = MTT_TAGS if name.startswith("mtt") else MSD_TAGS
        # musicnn: its dense layer after ReLU and normalisation. vgg has none: its last pooling, 2 x 1 x 128.
        self.embedding_size = 256 if self._is_vgg else 200
        self._tensors = read(name)
        # A cached property alone lets two threads make the same at once.
        self._making = Lock()

    @property
    def _is_vgg(self) -> bool:
        return self.name.endswith("vgg")

    @cached_property
    def model(self) -> keras.Model:
        """The plain network: log-mel (n, frames, 96) to {"tags", "logits", "embedding"}; vgg takes 187 frames only."""
        return self._build("float32")

    @cached_property
    def differentiable(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """The same for gradients with respect to log-mel (n, 187, 96): through a plain musicnn they take 0.7 s each."""
        network = partial(self.model, training=False) if self._is_vgg else Slopes(self._swift)
        return tf.function(network, input_signature=SIGNATURE)

    @cached_property
    def _swift(self) -> swift.Network:
        return swift.Network(self._tensors)

    def _build(self, convolutions: str) -> keras.Model:
        model = graphs.build(self.name, convolutions=convolutions)
        graphs.assign(model, self._tensors)
        model.trainable = False
        return model

    def run(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-mel windows (n, 187, 96) float32 to tags (n, 50), each from 0 to 1, and embedding (n, size), float32."""
        with self._making:
            run = self._run
        return run(windows)

    @cached_property
    def _run(self) -> Run:
        if not self._is_vgg and not tf.config.list_physical_devices("GPU"):
            # Whatever the precision: on a processor this is faster than bfloat16 is, and exact.
            return self._swift.run
        return self._traced(self.model if self.precision == "float32" else self._build("mixed_bfloat16"))

    def _traced(self, model: keras.Model) -> Run:
        @tf.function(input_signature=SIGNATURE)
        def call(some: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            told = model(some, training=False)
            return told["tags"], told["embedding"]

        def run(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            tags = np.empty((len(windows), len(self.tags)), np.float32)
            embedding = np.empty((len(windows), self.embedding_size), np.float32)
            for at in range(0, len(windows), WINDOWS_A_CALL):
                some = slice(at, at + WINDOWS_A_CALL)
                tags[some], embedding[some] = call(tf.constant(windows[some]))
            return tags, embedding

        return run


def load(name: str, *, precision: Precision = "float32") -> Tagger:
    """One of NAMES, made once a process. Raises JobFailed when its files are missing or are not what we know.

    bfloat16 allows convolutions in that type where it is faster: tags then differ by up to 0.01.
    """
    with _loading:
        return _load(name, precision)


@lru_cache(maxsize=2 * len(NAMES))
def _load(name: str, precision: Precision) -> Tagger:
    return Tagger(name, precision)


@cache
def has_bfloat16() -> bool:
    """Whether this machine multiplies in bfloat16 itself; where it does not, converting costs more than it saves."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return bool(tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0)) >= (8, 0))
    processors = Path("/proc/cpuinfo")
    told = set(processors.read_text().split()) if processors.exists() else set()
    return bool(told & {"avx512_bf16", "amx_bf16"})


def read(name: str) -> dict[str, np.ndarray]:
    """The authors' tensors by name, without what only their optimiser needed."""
    files = [weights.find(MUSICNN, path, digest) for path, digest in TAGGER_FILES[name].items()]
    # The files' common prefix is empty: they are named .index and .data-….
    reader = tf.compat.v1.train.NewCheckpointReader(f"{files[0].parent}/")
    names = [name for name in reader.get_variable_to_shape_map() if not name.endswith(("/Adam", "/Adam_1", "_power"))]
    return {name: reader.get_tensor(name) for name in names}


def windows(mel: np.ndarray) -> np.ndarray:
    """Log-mel (frames, 96) cut into (n, 187, 96) side by side, a view; what is left over at the end is not heard.

    Less than one window is repeated until it fills one, as the authors trained. Raises ValueError for no frames.
    """
    if len(mel) == 0:
        raise ValueError("expected at least one frame, received none")
    if len(mel) < WINDOW_FRAMES:
        mel = np.tile(mel, (-(-WINDOW_FRAMES // len(mel)), 1))
    count = len(mel) // WINDOW_FRAMES
    return mel[: count * WINDOW_FRAMES].reshape(count, WINDOW_FRAMES, mel.shape[1])
