"""Training throughput of the networks that compose: our compiled windows against Keras's `fit` on the same network.

Keras has a process of its own, with TensorFlow's own thread settings. Both have traced before the clock starts, and
both train the default network with the default dropout of layers; dropout of recurrent weights, which Keras has not, is
off.
"""

import time

import keras
import numpy as np

from bench.asking import Asked
from bench.measurement import Measurement, MeasurementBroken, compare
from bench.peers import keras_sequences as peer
from shared.sequence_networks import Gru
from shared.sequence_params import SequenceTraining
from worker import device
from worker.sequences import learner, streams
from worker.sequences.learner import Learner
from worker.sequences.spec import SequenceSpec, draw
from worker.sequences.streams import Layout, Steps

SAME = 1e-3


def measure(rounds: int) -> list[Measurement]:
    device.prepare()
    made, spec = peer.data(), _spec()
    off = _hold_to_keras(spec, made)
    ours, layout = Learner(spec, draw(spec, seed=1), _params()), _layout(made)
    pairs = []
    with Asked("bench.peers.keras_sequences") as theirs:
        theirs.ask()
        _tokens_a_second(ours, layout)
        for _ in range(rounds):
            pairs.append((_tokens_a_second(ours, layout), theirs.ask()))
    note = f"{peer.VOICES} voices, GRU of 256 and 256, {peer.ROWS} rows of {peer.STEPS} steps; the same weights have "
    note += f"losses that differ by {off:.1g}; ours carries its state from window to window and averages the weights"
    return [
        compare("training the network of scores, against Keras's fit", pairs, unit="tokens/s", bar="≥ 1.3", note=note)
    ]


def _params() -> SequenceTraining:
    network = {"type": "gru", "units": list(peer.UNITS), "embedding": peer.EMBEDDING, "head": peer.HEAD,
               "dropout": peer.DROPOUT, "recurrent_dropout": 0.0}  # fmt: skip
    return SequenceTraining.model_validate({"network": network, "batch_size": peer.ROWS, "window": peer.STEPS})


def _spec() -> SequenceSpec:
    network = _params().network
    assert isinstance(network, Gru)
    return SequenceSpec(network, (peer.CODES,) * peer.VOICES, (peer.TOKENS,) * peer.VOICES, peer.CONTEXT)


def _layout(made: dict[str, np.ndarray]) -> Layout:
    """The same windows, each the beginning of a piece."""
    cut = {name: values.reshape(peer.WINDOWS, peer.ROWS, *values.shape[1:]) for name, values in made.items()}
    starts = np.zeros(cut["tokens"].shape[:3], np.float32)
    starts[:, :, 0] = 1
    return Layout(
        tokens=cut["tokens"],
        codes=cut["codes"],
        before=cut["before"],
        context=cut["context"],
        starts=starts,
        weights=np.ones_like(starts),
        pieces=np.zeros(starts.shape, np.int32),
    )


def _tokens_a_second(ours: Learner, layout: Layout) -> float:
    began = time.perf_counter()
    state = ours.first_state(peer.ROWS)
    for place in range(len(layout)):
        _, state = ours.learn(layout, place, state, rate=0.003, seed=place)
    return layout.tokens.size / (time.perf_counter() - began)


def _hold_to_keras(spec: SequenceSpec, made: dict[str, np.ndarray]) -> float:
    """How far the losses of the same weights differ. Raises MeasurementBroken when it is not the same network."""
    model = peer.build()
    weights = {name: value.astype(np.float32) for name, value in _weights(spec, model).items()}
    few = {name: values[: peer.ROWS] for name, values in made.items()}
    theirs = float(model.evaluate([few["before"], few["codes"], few["context"]], few["tokens"], verbose=0))
    pieces = [Steps(*(few[name][row] for name in ("tokens", "codes", "context"))) for row in range(peer.ROWS)]
    layout = streams.whole(pieces, spec, rows=peer.ROWS, window=peer.STEPS)
    order = [int(layout.pieces[0, row, 0]) for row in range(peer.ROWS)]
    # What is known before a step is random here, and not what was known after the last one.
    layout.before[0] = few["before"][order]
    losses, _ = learner.measure(spec, weights, layout)
    off = abs(float(losses.mean()) - theirs)
    if off > SAME:
        raise MeasurementBroken(f"ours has a loss of {losses.mean():.6f}, Keras of {theirs:.6f}")
    return off


def _weights(spec: SequenceSpec, model: keras.Model) -> dict[str, np.ndarray]:
    """Keras's weights under our names."""
    voices, head = peer.VOICES, peer.HEAD
    named = {f"embedding.{voice}": model.get_layer(f"embedding_{voice}").get_weights()[0] for voice in range(voices)}
    for place in range(len(peer.UNITS)):
        kernel, recurrent, bias = model.get_layer(f"gru_{place}").get_weights()
        named |= {f"gru.{place}.kernel": kernel, f"gru.{place}.recurrent": recurrent}
        named |= {f"gru.{place}.bias": bias[0], f"gru.{place}.recurrent_bias": bias[1]}
    heads = [model.get_layer(f"head_{voice}").get_weights() for voice in range(voices)]
    outputs = [model.get_layer(f"output_{voice}").get_weights() for voice in range(voices)]
    known = np.zeros(spec.shapes["head.known"], np.float32)
    for voice in range(voices):
        for above in range(voice):
            there = slice(above * peer.EMBEDDING, (above + 1) * peer.EMBEDDING)
            kernel = model.get_layer(f"known_{above}_{voice}").get_weights()[0]
            known[there, voice * head : (voice + 1) * head] = kernel
    return named | {
        "head.state": np.concatenate([kernel for kernel, _ in heads], axis=1),
        "head.bias": np.concatenate([bias for _, bias in heads]),
        "head.known": known,
        "output.kernel": np.stack([kernel for kernel, _ in outputs]),
        "output.bias": np.stack([bias for _, bias in outputs]),
    }
