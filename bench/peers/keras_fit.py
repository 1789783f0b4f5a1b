"""Two networks and their data, and Keras's `fit` on one of them as everybody calls it; prints rows a second.

`python -m bench.peers.keras_fit dense|convolutional`, a line for every fit.
"""

import sys
import time
from dataclasses import dataclass

import keras
import numpy as np

BATCH = 32
EPOCHS = 2
SEED = 7
layers = keras.layers


@dataclass(frozen=True)
class Task:
    """A compiled network of Keras, and what it learns from."""

    model: keras.Model
    x: np.ndarray
    y: np.ndarray

    def fit(self) -> float:
        """Rows a second of one call."""
        began = time.perf_counter()
        self.model.fit(self.x, self.y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        return EPOCHS * len(self.x) / (time.perf_counter() - began)


def dense() -> Task:
    """20,000 rows of 64 features through 128-64-1."""
    keras.utils.set_random_seed(SEED)
    hidden = [layers.Dense(units, activation="relu") for units in (128, 64)]
    return _task(keras.Input((64,)), hidden, rows=20_000)


def convolutional() -> Task:
    """256 patches of 96 mel bands by 128 frames through three convolutions."""
    keras.utils.set_random_seed(SEED)
    hidden = [layer for filters in (16, 32, 64) for layer in (layers.Conv2D(filters, 3, activation="relu"),
                                                               layers.MaxPooling2D())]  # fmt: skip
    return _task(keras.Input((96, 128, 1)), [*hidden, layers.GlobalAveragePooling2D()], rows=256)


def _task(shape: keras.KerasTensor, hidden: list[keras.Layer], *, rows: int) -> Task:
    model = keras.Sequential([shape, *hidden, layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    random = np.random.default_rng(SEED)
    x = random.normal(size=(rows, *shape.shape[1:])).astype(np.float32)
    return Task(model, x, (x.reshape(rows, -1)[:, :64].sum(axis=1, keepdims=True) > 0).astype(np.float32))


TASKS = {"dense": dense, "convolutional": convolutional}


def main() -> None:
    task = TASKS[sys.argv[1]]()
    for _ in sys.stdin:
        print(task.fit(), flush=True)


if __name__ == "__main__":
    main()
