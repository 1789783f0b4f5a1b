"""Tagging as one would first write it: decode, mean, resample, librosa, and the plain Keras model, one after the other.

`python -m bench.peers.first_pipeline BATCH`: for every line read, a file that lists recordings, prints seconds of audio
for each second of CPU.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
import tensorflow as tf
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from bench.peers.librosa_mel import RATE_HZ, log_mel
from worker.audio.mel import BANDS, WINDOW_FRAMES
from worker.pretrained import musicnn

Network = Callable[[tf.Tensor], tf.Tensor]


def main() -> None:
    batch = int(sys.argv[1])
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = musicnn.Tagger("mtt-musicnn").model
    network = tf.function(lambda windows: model(windows, training=False)["tags"], input_signature=musicnn.SIGNATURE)
    network(tf.zeros((batch, WINDOW_FRAMES, BANDS)))
    with threadpool_limits(1):
        for line in sys.stdin:
            began, heard_s = time.process_time(), 0.0
            for path in Path(line.strip()).read_text().splitlines():
                heard_s += tag(path, network, batch=batch)
            print(heard_s / (time.process_time() - began), flush=True)


def tag(path: str, network: Network, *, batch: int) -> float:
    """Seconds of the recording, once its mean tags are known."""
    sound, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mel = log_mel(soxr.resample(sound.mean(axis=1), rate_hz, RATE_HZ))
    windows = musicnn.windows(mel.astype(np.float32))
    np.concatenate([network(tf.constant(windows[at : at + batch])) for at in range(0, len(windows), batch)]).mean(
        axis=0
    )
    return float(len(sound) / rate_hz)


if __name__ == "__main__":
    main()
