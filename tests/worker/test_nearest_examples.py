"""A model keeps some rows, and finds those of them that are nearest."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.worker import canonical
from worker import input_statistics, nearest_examples
from worker.features import Category, Number
from worker.nearest_examples import Examples

FEATURES = (Number(name="tempo", indicator=True), Category(name="key", words=("C", "G")))


def matrix(rows: int = 50) -> np.ndarray:
    random = np.random.default_rng(0)
    words = np.eye(2)[random.integers(0, 2, rows)]
    return np.concatenate([random.normal(100, 20, (rows, 1)), np.zeros((rows, 1)), words], axis=1).astype(np.float32)


def kept(x: np.ndarray) -> Examples:
    places = nearest_examples.standardise(FEATURES, input_statistics.learn(x), x)
    content = nearest_examples.pack([f"p{row}" for row in range(len(x))], [["a", "b"]] * len(x), places)
    return nearest_examples.unpack(content, inputs=4)


def test_a_row_that_is_kept_is_its_own_neighbour() -> None:
    x = matrix()
    asked = nearest_examples.standardise(FEATURES, input_statistics.learn(x), x)

    found, distances = nearest_examples.find(kept(x), asked, 3)

    np.testing.assert_array_equal(found[:, 0], np.arange(50))
    assert distances[:, 0].max() < 2e-3 and (np.diff(distances, axis=1) >= 0).all()


def test_distances_are_standard_deviations_and_words() -> None:
    x = matrix()
    statistics = input_statistics.learn(x)
    asked = x[:1].copy()
    asked[0, 0] += 3 * statistics.deviation[0]
    asked[0, 2:] = 1 - asked[0, 2:]

    known = kept(x[:1].repeat(2, axis=0))
    far = nearest_examples.standardise(FEATURES, statistics, asked)
    near = nearest_examples.standardise(FEATURES, statistics, x[:1])

    assert np.linalg.norm(far - near) == pytest.approx(np.sqrt(9 + 2), rel=1e-5)
    assert nearest_examples.find(known, far, 5)[0].shape == (1, 2)


def test_what_was_packed_is_unpacked() -> None:
    x = matrix()

    known = kept(x)

    assert known.keys[3] == '"p3"' and known.labels[0] == '["a", "b"]' and known.places.shape == (50, 4)


def test_a_file_of_another_model_is_refused() -> None:
    content = nearest_examples.pack(["a"], ["b"], np.zeros((1, 3), np.float32))

    with pytest.raises(ValueError):
        nearest_examples.unpack(content, inputs=4)
    with pytest.raises((ValueError, pa.ArrowInvalid)):
        nearest_examples.unpack(content[:100], inputs=3)


def test_few_are_kept_of_many_and_fewer_of_wide_ones() -> None:
    chosen = nearest_examples.choose(100_000, inputs=10, seed=1)

    assert len(chosen) == nearest_examples.MOST_ROWS and (np.diff(chosen) > 0).all()
    assert len(nearest_examples.choose(100_000, inputs=40_000, seed=1)) == 100
    assert len(nearest_examples.choose(7, inputs=10, seed=1)) == 7


def test_what_is_far_beyond_half_precision_stays_a_number() -> None:
    x = matrix()
    asked = x[:1].copy()
    asked[0, 0] = 3e38

    placed = nearest_examples.standardise(FEATURES, input_statistics.learn(x), asked)

    assert np.isfinite(nearest_examples.find(kept(x), placed, 2)[1]).all()


def test_keys_are_the_cells_of_the_id_column_or_the_numbers_of_rows(tmp_path: Path) -> None:
    paths, _ = canonical.write(tmp_path, {"id": [2**60 + 1, None, 7], "x": [1.0, 2.0, 3.0]}, part_rows=2)

    assert nearest_examples.read_keys(paths, "id", np.array([0, 1, 2])) == [2**60 + 1, None, 7]
    assert nearest_examples.read_keys(paths, None, np.array([2, 0])) == [2, 0]
