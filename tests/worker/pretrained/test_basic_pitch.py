"""The rebuilt transcriber tells what the model that its authors shipped tells, over windows and at their edges."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from shared.errors import JobFailed
from shared.pretrained import PRETRAINED, TRANSCRIBER_FILES
from tests.worker.pretrained import piano
from worker.pretrained import basic_pitch, constant_q, weights
from worker.pretrained.notes import Posteriors

RATE = 22_050
# Of probabilities; the last bits of a sum depend on its order, and that on the processor: 1.03e-5 was seen on one.
ALIKE = 2e-5
# Where bins are silent the authors' graph, in single precision, hears its own rounding: by processor up to 5e-4.
ALIKE_IN_SILENCE = 2e-3
# Of a window that is laid one sample too late, .07 and more would differ.
ALIKE_WHEN_JOINED = 1e-4
TWO_SECONDS = np.arange(2 * RATE) / RATE

Shipped = Callable[[np.ndarray], dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """The authors' own graph, which only tests run, without what their optimiser left: Keras 3 cannot read that."""
    path, digest = next(iter(TRANSCRIBER_FILES.items()))
    folder = tmp_path_factory.mktemp("shipped") / "nmp"
    shutil.copytree(weights.find("basic-pitch", path, digest).parents[1], folder)
    saved = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for node in saved.meta_graphs[0].object_graph_def.nodes:
        del node.slot_variables[:]
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    model = tf.saved_model.load(str(folder))
    return lambda window: {name: found.numpy() for name, found in model(window[None, :, None]).items()}


def transcribed(shipped: Shipped, waveform: np.ndarray) -> Posteriors:
    """What the authors' package makes of a recording, its own windows and its own cut."""
    padded = np.concatenate([np.zeros(3840, np.float32), waveform])
    windows = [padded[at : at + 43_844] for at in range(0, len(padded), 43_844 - 7680)]
    found = [shipped(np.pad(window, (0, 43_844 - len(window)))) for window in windows]
    count = int(np.floor(len(waveform) * (86 / RATE)))
    joined = [np.concatenate([each[name][0, 15:-15] for each in found])[:count] for name in Posteriors._fields]
    return Posteriors(*joined)


@cache
def sounds() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    tone = np.sin(2 * np.pi * 440 * TWO_SECONDS)
    made = {
        "silence": 0 * tone,
        "a tone": 0.5 * tone,
        "a chord": sum(0.2 * np.sin(2 * np.pi * hz * TWO_SECONDS) for hz in (110, 220.3, 277.2, 329.6, 3729.3)),
        "noise": 0.1 * random.normal(size=len(tone)),
        "hardly any noise": 1e-4 * random.normal(size=len(tone)),
        "a tone out of silence": np.where(TWO_SECONDS > 1, 0.5 * tone, 0),
        "a click": (np.arange(len(tone)) == 20_000) * 1.0,
        "a square wave, as loud as can be": np.sign(tone),
        "a piano": piano.play(piano.phrase(seed=1, seconds=6), seed=1),
    }
    return {name: sound.astype(np.float32) for name, sound in made.items()}


def in_noise(waveform: np.ndarray) -> np.ndarray:
    """Heard through so loud a noise that no bin is silent."""
    return 0.2 * waveform + 0.1 * np.random.default_rng(1).normal(size=len(waveform)).astype(np.float32)


@pytest.mark.parametrize("name", sounds())
def test_the_posteriors_are_the_authors(name: str, shipped: Shipped) -> None:
    waveform = in_noise(sounds()[name])
    expected = transcribed(shipped, waveform)

    ours = basic_pitch.load().run(waveform)

    for head, theirs in zip(ours, expected, strict=True):
        assert len(head) >= len(theirs) > 100
        assert np.abs(head[: len(theirs)] - theirs).max() < ALIKE


@pytest.mark.parametrize("name", sounds())
def test_clean_sounds_differ_by_the_authors_rounding_only(name: str, shipped: Shipped) -> None:
    expected = transcribed(shipped, sounds()[name])

    ours = basic_pitch.load().run(sounds()[name])

    for head, theirs in zip(ours, expected, strict=True):
        assert np.abs(head[: len(theirs)] - theirs).max() < ALIKE_IN_SILENCE


@pytest.mark.parametrize("name", sounds())
def test_silent_bins_hold_no_rounding(name: str) -> None:
    window = np.resize(sounds()[name], basic_pitch.WINDOW_SAMPLES)
    expected = power(window.astype(np.float64))

    (ours,) = basic_pitch.load()._front._power(tf.constant(window[None], tf.float64)).numpy()

    # The floor under the logarithm is 1e-10.
    assert np.abs(ours - expected).max() < 1e-13 * max(expected.max(), 1)


def power(samples: np.ndarray) -> np.ndarray:
    """The recursion as its paper tells it, a filter and every second sample: (172, 309)."""
    lowpass = constant_q.halving()[: constant_q.TAPS, 0].astype(np.float64)
    kernels, octaves = constant_q.kernels().astype(np.float64), []
    for octave in range(constant_q.OCTAVES):
        frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, 128, "reflect"), 256)[:: 256 >> octave]
        real, imaginary = np.split(frames @ kernels, 2, axis=1)
        octaves.append(real**2 + imaginary**2)
        samples = np.convolve(samples, lowpass)[128 : 128 + len(samples) // 2 * 2 : 2]
    return np.concatenate(octaves[::-1], axis=1)[:, -constant_q.BINS :] * constant_q.lengths()


@pytest.mark.parametrize("samples", [1, 256, 257, 36_164, 36_165, 9 * 36_164 + 700])
def test_windows_are_joined_as_the_authors_join_them(samples: int, shipped: Shipped) -> None:
    waveform = in_noise(np.tile(sounds()["a piano"], 3)[:samples])
    expected = transcribed(shipped, waveform)

    ours = basic_pitch.load().run(waveform)

    assert all(len(head) == -(-samples // 36_164) * 142 - max(141 - (samples - 1) % 36_164 // 256, 0) for head in ours)
    for head, theirs in zip(ours, expected, strict=True):
        assert np.abs(head[: len(theirs)] - theirs).max(initial=0) < ALIKE_WHEN_JOINED


def test_the_end_of_a_long_recording_is_not_lost() -> None:
    waveform = np.zeros(120 * RATE, np.float32)
    waveform[-RATE // 2 :] = 0.5 * np.sin(2 * np.pi * 440 * TWO_SECONDS[: RATE // 2])

    note = basic_pitch.load().run(waveform).note

    # The authors keep 86 frames a second, of 86.6: of two minutes they would lose .8 s.
    assert note[120 * 86 :, 69 - 21].max() > 0.5


def test_nothing_has_no_posteriors() -> None:
    ours = basic_pitch.load().run(np.zeros(0, np.float32))

    assert [head.shape for head in ours] == [(0, 88), (0, 88), (0, 264)]


def test_several_threads_get_the_same_answers() -> None:
    waves = [sounds()[name] for name in ("a piano", "noise", "a chord", "a tone")]
    alone = [basic_pitch.load().run(wave) for wave in waves]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(basic_pitch.load().run, waves))

    for first, second in zip(alone, together, strict=True):
        assert all(np.abs(one - other).max() < ALIKE for one, other in zip(first, second, strict=True))


def test_the_network_has_the_parameters_that_are_claimed() -> None:
    (known,) = [each for each in PRETRAINED if each.family == "basic-pitch"]

    learnt = [tensor.size for name, tensor in basic_pitch.read().items() if "moving" not in name]

    assert sum(learnt) == known.parameters


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = dict.fromkeys(TRANSCRIBER_FILES, "0" * 64)
    monkeypatch.setattr(basic_pitch, "TRANSCRIBER_FILES", changed)

    with pytest.raises(JobFailed) as caught:
        basic_pitch.read()

    assert caught.value.code == "integrity"


def test_threads_that_ask_at_once_get_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made, both = [], Barrier(2)

    class Slow:
        def __init__(self) -> None:
            made.append(self)
            # Until the other makes one too, or plainly does not.
            with suppress(BrokenBarrierError):
                both.wait(timeout=0.5)

    monkeypatch.setattr(basic_pitch, "Transcriber", Slow)
    basic_pitch._load.cache_clear()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: basic_pitch.load(), range(2))
    basic_pitch._load.cache_clear()

    assert first is second is made[0] and len(made) == 1
