"""`predict` with its defaults on an array in memory, for every line read; prints rows a second."""

import sys
import time

import keras
import numpy as np

# A million rows would take half a minute; its rows a second do not depend on their number.
ROWS = 50_000


def main() -> None:
    layers = [keras.layers.Dense(units, activation="relu") for units in (128, 64)]
    model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(1, activation="sigmoid")])
    x = np.random.default_rng(0).normal(size=(ROWS, 64)).astype(np.float32)
    for _ in sys.stdin:
        began = time.perf_counter()
        # Without its progress bar, which only costs it time.
        model.predict(x, verbose=0)
        print(ROWS / (time.perf_counter() - began), flush=True)


if __name__ == "__main__":
    main()
