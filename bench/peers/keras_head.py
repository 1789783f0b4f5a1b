"""The same small network as a bare Keras `fit` would train it: built, compiled and fitted anew for every line read.

`python -m bench.peers.keras_head FILE`, the matrices as .npz; prints seconds.
"""

import sys
import time

import keras
import numpy as np

from shared.kinds.classification import TrainParams

Matrices = dict[str, np.ndarray]


def main() -> None:
    with np.load(sys.argv[1]) as file:
        matrices = dict(file)
    for _ in sys.stdin:
        began = time.perf_counter()
        fit(matrices, TrainParams().of_recordings())
        print(time.perf_counter() - began, flush=True)


def fit(matrices: Matrices, params: TrainParams) -> None:
    """With the optimiser, the batches and the early stopping of a training whose params are left out."""
    keras.utils.set_random_seed(params.seed)
    hidden = [
        each
        for layer in params.hidden
        for each in (keras.layers.Dense(layer.units, layer.activation), keras.layers.Dropout(layer.dropout))
    ]
    inputs, outputs = matrices["x"].shape[1], matrices["y"].shape[1]
    model = keras.Sequential([keras.Input((inputs,)), *hidden, keras.layers.Dense(outputs, "softmax")])
    optimizer = keras.optimizers.AdamW(params.learning_rate, weight_decay=params.weight_decay)
    model.compile(optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    assert params.stopping is not None
    stopping = keras.callbacks.EarlyStopping(patience=params.stopping.patience, restore_best_weights=True)
    model.fit(
        matrices["x"],
        matrices["y"],
        sample_weight=matrices["weight"],
        validation_data=(matrices["held_x"], matrices["held_y"]),
        batch_size=params.batch_size,
        epochs=params.epochs_at_most,
        callbacks=[stopping],
        verbose=0,
    )


if __name__ == "__main__":
    main()
