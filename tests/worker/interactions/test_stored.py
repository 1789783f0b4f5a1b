"""What is written is what is loaded, whatever the dataset has: times, contexts, an item table, or nothing at all."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.worker import plays
from worker.interactions import stored
from worker.interactions.stored import Interactions
from worker.tables import Texts


def assert_same(found: Interactions, expected: Interactions) -> None:
    assert (found.users, found.items) == (expected.users, expected.items)
    for name in ("user", "item", "weight", "time", "listed"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert (ours is None) == (theirs is None)
        assert ours is None or (ours.dtype == theirs.dtype and np.array_equal(ours, theirs))
    assert found.catalogue.equals(expected.catalogue)
    assert found.catalogue.num_rows == len(found.items)
    if expected.context is None:
        assert found.context is None
    else:
        assert words(found.context) == words(expected.context)


def words(texts: Texts | None) -> list[str | None]:
    assert texts is not None
    return [None if code < 0 else texts.words[code] for code in texts.codes.tolist()]


@pytest.mark.parametrize("time", [True, False])
@pytest.mark.parametrize("catalogue", [True, False])
@pytest.mark.parametrize("context", [True, False])
def test_what_is_written_is_loaded(tmp_path: Path, *, time: bool, catalogue: bool, context: bool) -> None:
    made = plays.make(40, 60)
    contexts = ["car", "home", "run"] * len(made.user) if context else None
    expected = plays.interactions(made, time=time, catalogue=catalogue, context=contexts and contexts[: len(made.user)])

    paths = stored.write(tmp_path, expected)

    assert [path.name for path in paths] == ["events.parquet", "users.parquet", "items.parquet"]
    assert_same(stored.load(paths), expected)


def test_an_empty_context_stays_empty_and_columns_may_be_called_as_ours(tmp_path: Path) -> None:
    expected = Interactions(
        users=["a"], items=["x", "y"], user=np.array([0, 0], np.int32), item=np.array([0, 1], np.int32),
        weight=np.array([1.0, 2.5]), time=None, context=Texts(["car"], np.array([-1, 0], np.int32)),
        catalogue=pa.table({"item": ["1", None], "listed": [True, None], "": [1, 2]}), listed=np.array([True, False]),
    )  # fmt: skip

    assert_same(stored.load(stored.write(tmp_path, expected)), expected)


def test_nothing_is_stored_as_nothing(tmp_path: Path) -> None:
    none = np.empty(0, np.int32)
    expected = Interactions([], [], none, none, np.empty(0), None, None, stored.empty_catalogue(0))

    assert_same(stored.load(stored.write(tmp_path, expected)), expected)


def test_the_same_interactions_become_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths = stored.write(tmp_path / name, plays.interactions(plays.make(30, 30)))
        contents.append([path.read_bytes() for path in paths])

    assert contents[0] == contents[1]
