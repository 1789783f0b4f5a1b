"""The rebuilt taggers tell what the graphs that their authors shipped tell, and gradients flow through them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import numpy as np
import pytest
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from threadpoolctl import threadpool_info, threadpool_limits

from shared.errors import JobFailed
from shared.pretrained import PRETRAINED, TAGGER_FILES
from worker.pretrained import live, musicnn, swift, weights

MUSICNNS = ("mtt-musicnn", "msd-musicnn")
EPSILON = 1e-3


@cache
def mels() -> dict[str, np.ndarray]:
    """Log-mel windows such as music makes, and such as it hardly makes."""
    made = {f"music {seed}": music(seed) for seed in range(3)}
    random = np.random.default_rng(9)
    made["uniform"] = random.uniform(0, 4.5, (4, 187, 96)).astype(np.float32)
    made["loud"] = random.uniform(5, 7.5, (4, 187, 96)).astype(np.float32)
    made["nearly silent"] = (random.random((4, 187, 96)) * 1e-3).astype(np.float32)
    made["silent"] = np.zeros((1, 187, 96), np.float32)
    made["pulses"] = np.where(np.arange(187)[None, :, None] % 20 < 3, 4, 0.2).repeat(96, axis=2).astype(np.float32)
    return made


def music(seed: int) -> np.ndarray:
    """Four windows with bands that differ in level and drift."""
    random = np.random.default_rng(seed)
    level = random.uniform(0, 3, (1, 1, 96)) + random.normal(size=(4, 187, 96)).cumsum(axis=1) * 0.05
    return np.clip(level + random.normal(size=level.shape) * 0.3, 0, 4.5).astype(np.float32)


@cache
def shipped(name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Tags and embedding of the authors' own graph, which only tests run."""
    embedding = "Flatten/flatten/Reshape" if name.endswith("vgg") else "batch_normalization_10/batchnorm/add_1"
    wanted = ["model/Sigmoid", f"model/{embedding}"]
    path, digest = next(iter(TAGGER_FILES[name].items()))
    folder = weights.find("musicnn", path, digest).parent
    meta = tf.compat.v1.MetaGraphDef.FromString((folder / ".meta").read_bytes())
    graph = tf.compat.v1.graph_util.extract_sub_graph(meta.graph_def, wanted)
    for node in graph.node:
        # What TensorFlow 1 noted of shapes is no longer true of this part.
        node.attr.pop("_output_shapes", None)
    tensors = musicnn.read(name)
    feeds = {f"{node.name}:0": tensors[node.name] for node in graph.node if node.op in ("Variable", "VariableV2")}
    feeds["model/Placeholder_2:0"] = False  # is training
    with tf.Graph().as_default() as own, tf.compat.v1.Session(graph=own) as session:
        tf.import_graph_def(graph, name="")
        return {
            sort: tuple(session.run([f"{output}:0" for output in wanted], feeds | {"model/Placeholder:0": mel}))
            for sort, mel in mels().items()
        }


@cache
def exact(name: str) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Tags, embedding and front end (n, 187, 561) of the whole of a musicnn in float64, the plain way."""
    # Products in two threads take minutes where others use the processors.
    with threadpool_limits(1, user_api="blas"):
        return {sort: in_float64(musicnn.read(name), mel[:2].astype(np.float64)) for sort, mel in mels().items()}


def in_float64(tensors: dict[str, np.ndarray], mel: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    def normalised(features: np.ndarray, place: int) -> np.ndarray:
        name = f"batch_normalization_{place}" if place else "batch_normalization"
        mean, variance, gamma, beta = (
            tensors[f"{name}/{part}"].astype(np.float64) for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return (features - mean) / np.sqrt(variance + EPSILON) * gamma + beta

    def convolved(spectrum: np.ndarray, place: int) -> np.ndarray:
        """(n, frames, bands) to (n, frames, filters), the largest over all places along the bands."""
        name = f"conv2d_{place}" if place else "conv2d"
        kernel = tensors[f"{name}/kernel"][:, :, 0].astype(np.float64)
        before = (len(kernel) - 1) // 2
        padded = np.pad(spectrum, ((0, 0), (before, len(kernel) - 1 - before), (0, 0)))
        made = []
        for window in sliding_window_view(padded, kernel.shape[:2], axis=(1, 2)):
            sums = window.reshape(*window.shape[:2], -1) @ kernel.reshape(-1, kernel.shape[2])
            made.append(normalised(np.maximum(sums + tensors[f"{name}/bias"], 0), place + 1).max(axis=1))
        return np.array(made)

    mel = normalised(mel, 0)
    front = np.concatenate([convolved(mel, place) for place in range(5)], axis=2)
    first = convolved(front, 5)
    second = convolved(first, 6) + first
    third = convolved(second, 7) + second
    features = np.concatenate([front, first, second, third], axis=2)
    pooled = normalised(np.stack([features.max(axis=1), features.mean(axis=1)], axis=2).reshape(len(mel), -1), 9)
    dense = pooled @ tensors["dense/kernel"].astype(np.float64) + tensors["dense/bias"]
    embedding = normalised(np.maximum(dense, 0), 10)
    return 1 / (1 + np.exp(-(embedding @ tensors["dense_1/kernel"] + tensors["dense_1/bias"]))), embedding, front


def apart(one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> tuple[float, float]:
    """The largest differences of tags, and of embeddings as a share of the largest value."""
    tags, embedding = (float(np.abs(ours - theirs).max()) for ours, theirs in zip(one, other, strict=True))
    return tags, embedding / float(np.abs(other[1]).max())


@pytest.fixture(params=musicnn.NAMES)
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


@pytest.mark.parametrize("sort", mels())
def test_the_plain_network_is_the_one_that_its_authors_shipped(name: str, sort: str) -> None:
    told = musicnn.load(name).model(mels()[sort], training=False)

    tags, embedding = apart((told["tags"].numpy(), told["embedding"].numpy()), shipped(name)[sort])

    assert tags < 5e-6 and embedding < 5e-6


@pytest.mark.parametrize("sort", mels())
def test_the_fast_way_tells_what_the_shipped_graph_tells(name: str, sort: str) -> None:
    tags, embedding = apart(musicnn.load(name).run(mels()[sort]), shipped(name)[sort])

    # Twice what is allowed above: of mtt-musicnn, the shipped graph itself is 4.4e-6 from its values in float64.
    assert tags < 1e-5 and embedding < 1e-5


@pytest.mark.parametrize("sort", mels())
@pytest.mark.parametrize("name", MUSICNNS)
def test_the_fast_way_is_exact(name: str, sort: str) -> None:
    tags, embedding = apart(swift.Network(musicnn.read(name)).run(mels()[sort][:2]), exact(name)[sort][:2])

    # Measured: 1.3e-6 and 3e-6. Both filters that are left out and float32 are in it.
    assert tags < 3e-6 and embedding < 6e-6


@pytest.mark.parametrize(("name", "left"), [("mtt-musicnn", 216), ("msd-musicnn", 64)])
def test_most_filters_are_constants_and_no_sound_takes_any_out_of_its_bounds(name: str, left: int) -> None:
    front = live.front(musicnn.read(name))

    channels = np.concatenate([part.channels for part in front.parts])

    assert len(channels) == left
    for _, _, heard in exact(name).values():
        assert (front.low - 1e-12 <= heard).all() and (heard <= front.high + 1e-12).all()


def test_parameters_are_counted_as_the_registry_says(name: str) -> None:
    (said,) = [model for model in PRETRAINED if model.tagger == name]

    tagger = musicnn.load(name)

    assert tagger.model.count_params() == said.parameters
    assert tagger.tags == said.tags and len(tagger.tags) == 50


def gradient(network: Callable[[tf.Tensor], dict[str, tf.Tensor]], mel: np.ndarray, place: int) -> np.ndarray:
    with tf.GradientTape() as tape:
        watched = tf.constant(mel)
        tape.watch(watched)
        logits = network(watched)["logits"][:, place]
    return tape.gradient(logits, watched).numpy()


def test_a_tag_has_a_gradient_and_following_it_makes_the_tag_likelier(name: str) -> None:
    network, mel = musicnn.load(name).differentiable, music(5)

    slope = gradient(network, mel, 3)

    assert slope.shape == mel.shape and np.isfinite(slope).all()
    assert (np.abs(slope).max(axis=(1, 2)) > 1e-4).all()
    before, after = (
        network(tf.constant(some))["logits"][:, 3].numpy() for some in (mel, mel + 0.01 * slope / np.abs(slope).max())
    )
    assert (after > before).all()


@pytest.mark.parametrize("sort", ["music 0", "music 1", "loud"])
def test_the_network_for_gradients_is_the_plain_one(name: str, sort: str) -> None:
    tagger, mel = musicnn.load(name), mels()[sort][:1]

    plain, ours = tagger.model(mel, training=False), tagger.differentiable(tf.constant(mel))

    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in plain.items()}
    # As far as the shipped graph is from float64.
    assert float(tf.reduce_max(tf.abs(plain["tags"] - ours["tags"]))) < 1e-5
    slopes = [gradient(network, mel, 7) for network in (tagger.model, tagger.differentiable)]
    # Where two places are as good as equally loud, rounding says which of them has the slope; near silence many are.
    assert np.linalg.norm(slopes[0] - slopes[1]) < 1e-2 * np.linalg.norm(slopes[0])


def test_the_plain_musicnn_hears_any_length() -> None:
    long = np.concatenate(list(music(6)))[None]

    told = musicnn.load("mtt-musicnn").model(long, training=False)

    assert told["tags"].shape == (1, 50) and told["embedding"].shape == (1, 200)


@pytest.mark.parametrize("count", [0, 1, 5, 13])
def test_any_number_of_windows_is_told_as_each_alone(name: str, count: int) -> None:
    tagger = musicnn.load(name)
    many = np.concatenate([music(seed) for seed in range(4)])[:count]

    tags, embedding = tagger.run(many)

    assert tags.shape == (count, 50) and embedding.shape == (count, tagger.embedding_size)
    assert tags.dtype == embedding.dtype == np.float32
    # The fast way tells the same bits: what is done again after a death is not cut as it was the first time.
    is_exact = name.endswith("musicnn")
    for place in range(count):
        alone = tagger.run(many[place : place + 1])
        np.testing.assert_allclose(tags[place], alone[0][0], rtol=0, atol=0 if is_exact else 2e-6)
        np.testing.assert_allclose(embedding[place], alone[1][0], rtol=0, atol=0 if is_exact else 5e-5)


def test_threads_at_once_tell_the_same_and_each_computes_its_products_alone(name: str) -> None:
    tagger, parts = musicnn.load(name), [music(seed) for seed in range(8)]
    alone = [tagger.run(part)[0] for part in parts]

    with ThreadPoolExecutor(max(2, musicnn.THREADS)) as pool:
        together = [tags for tags, _ in pool.map(tagger.run, parts)]

    np.testing.assert_allclose(together, alone, rtol=0, atol=2e-6)


def test_products_are_kept_whole_whichever_thread_says_so() -> None:
    threadpool_limits(2, user_api="blas").unregister()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(musicnn.load("mtt-musicnn").run, music(0)).result()

    assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {1}


def test_a_tagger_is_loaded_once() -> None:
    assert musicnn.load("mtt-musicnn") is musicnn.load("mtt-musicnn", precision="float32")


def test_bfloat16_is_near_and_leaves_the_network_for_gradients_as_it_is(name: str) -> None:
    windows = np.concatenate([music(seed) for seed in range(3)])
    tagger = musicnn.Tagger(name, "bfloat16")

    tags, embedding = tagger.run(windows)

    exactly = musicnn.load(name).run(windows)
    off = float(np.abs(tags - exactly[0]).max())
    assert tags.dtype == embedding.dtype == np.float32
    # Only vgg computes in it on a processor, and only on one that can; twice what was measured.
    assert off < 0.02 if name.endswith("vgg") else off == 0
    assert (off > 0) == (tagger.precision == "bfloat16" and name.endswith("vgg"))
    plain = tagger.model(windows, training=False)["tags"].numpy()
    np.testing.assert_allclose(plain, exactly[0], rtol=0, atol=1e-5)


def test_a_network_in_bfloat16_is_near_for_all_four(name: str) -> None:
    windows = music(0)
    model = musicnn.load(name)._build("mixed_bfloat16")

    tags = model(windows, training=False)["tags"].numpy()

    off = float(np.abs(tags - musicnn.load(name).run(windows)[0]).max())
    assert 0 < off < 0.02


def test_a_tagger_whose_file_is_not_ours_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    files = dict.fromkeys(TAGGER_FILES["mtt-vgg"], "0" * 64)
    monkeypatch.setitem(TAGGER_FILES, "mtt-vgg", files)

    with pytest.raises(JobFailed) as refused:
        musicnn.Tagger("mtt-vgg")

    assert refused.value.code == "integrity" and Path(next(iter(files))).parent.name in refused.value.detail


@pytest.mark.parametrize(("frames", "count"), [(187, 1), (188, 1), (373, 1), (374, 2), (1000, 5)])
def test_a_spectrogram_is_cut_into_whole_windows_without_a_copy(frames: int, count: int) -> None:
    mel = np.arange(frames * 96, dtype=np.float32).reshape(frames, 96)

    cut = musicnn.windows(mel)

    assert cut.shape == (count, 187, 96) and np.shares_memory(cut, mel)
    np.testing.assert_array_equal(cut.reshape(-1, 96), mel[: count * 187])


@pytest.mark.parametrize("frames", [1, 50, 94, 186])
def test_less_than_a_window_is_repeated_until_it_fills_one(frames: int) -> None:
    mel = np.arange(frames * 96, dtype=np.float32).reshape(frames, 96)

    (window,) = musicnn.windows(mel)

    np.testing.assert_array_equal(window, mel[np.arange(187) % frames])


def test_nothing_at_all_makes_no_window() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        musicnn.windows(np.empty((0, 96), np.float32))


def test_threads_that_ask_at_once_get_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made, both = [], Barrier(2)

    class Slow:
        def __init__(self, *_: object) -> None:
            made.append(self)
            # Until the other makes one too, or plainly does not.
            with suppress(BrokenBarrierError):
                both.wait(timeout=0.5)

    monkeypatch.setattr(musicnn, "Tagger", Slow)
    musicnn._load.cache_clear()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: musicnn.load("mtt-vgg"), range(2))
    musicnn._load.cache_clear()

    assert first is second is made[0] and len(made) == 1
