"""The same network of sequences out of Keras's own layers, and its `fit` on the same windows; prints tokens a second.

`python -m bench.peers.keras_sequences`, a line for every fit.
"""

import sys
import time

import keras
import numpy as np

ROWS, STEPS, WINDOWS, VOICES, PITCHES, CONTEXT = 16, 128, 24, 4, 56, 52
EMBEDDING, UNITS, HEAD, DROPOUT, SEED = 64, (256, 256), 256, 0.2, 7
CODES, TOKENS = 1 + 2 * PITCHES, 2 + PITCHES
layers = keras.layers


def data() -> dict[str, np.ndarray]:
    """Windows of random music: what is known before and after each step, what was chosen, and where in the bar."""
    random = np.random.default_rng(SEED)
    shape = (WINDOWS * ROWS, STEPS, VOICES)
    return {
        "before": random.integers(0, CODES, shape).astype(np.int32),
        "codes": random.integers(0, CODES, shape).astype(np.int32),
        "tokens": random.integers(0, TOKENS, shape).astype(np.int32),
        "context": random.normal(size=(*shape[:2], CONTEXT)).astype(np.float32),
    }


def build() -> keras.Model:
    """Embeddings, two recurrent layers, and for each voice a layer that knows the voices above it."""
    keras.utils.set_random_seed(SEED)
    before, codes = (keras.Input((STEPS, VOICES), dtype="int32") for _ in range(2))
    context = keras.Input((STEPS, CONTEXT))
    embeddings = [layers.Embedding(CODES + 1, EMBEDDING, name=f"embedding_{voice}") for voice in range(VOICES)]
    known = layers.Concatenate()([table(before[:, :, voice]) for voice, table in enumerate(embeddings)])
    known = layers.Dropout(DROPOUT / 2, noise_shape=(None, 1, VOICES * EMBEDDING))(known)
    inputs = seen = layers.Concatenate()([known, context])
    for place, units in enumerate(UNITS):
        seen = layers.GRU(units, return_sequences=True, name=f"gru_{place}")(seen)
        seen = layers.Dropout(DROPOUT, noise_shape=(None, 1, units))(seen)
    seen = layers.Concatenate()([seen, inputs])
    now = [table(codes[:, :, voice]) for voice, table in enumerate(embeddings)]
    said = []
    for voice in range(VOICES):
        hidden = layers.Dense(HEAD, name=f"head_{voice}")(seen)
        for above in range(voice):
            hidden = layers.Add()(
                [hidden, layers.Dense(HEAD, use_bias=False, name=f"known_{above}_{voice}")(now[above])]
            )
        hidden = layers.Dropout(DROPOUT)(layers.Activation("gelu")(hidden))
        said.append(layers.Dense(TOKENS, name=f"output_{voice}")(hidden))
    model = keras.Model([before, codes, context], layers.Lambda(_stack, output_shape=(STEPS, VOICES, TOKENS))(said))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.AdamW(0.003, weight_decay=0.01, global_clipnorm=1.0), loss=loss)
    return model


def _stack(values: list[keras.KerasTensor]) -> keras.KerasTensor:
    return keras.ops.stack(values, axis=2)


def fit(model: keras.Model, made: dict[str, np.ndarray]) -> float:
    """Tokens a second of one epoch."""
    began = time.perf_counter()
    model.fit([made["before"], made["codes"], made["context"]], made["tokens"], batch_size=ROWS, verbose=0)
    return made["tokens"].size / (time.perf_counter() - began)


def main() -> None:
    model, made = build(), data()
    for _ in sys.stdin:
        print(fit(model, made), flush=True)


if __name__ == "__main__":
    main()
