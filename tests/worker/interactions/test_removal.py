"""A user goes, and with the user whatever only that user had."""

import numpy as np
import pyarrow as pa
import pytest

from tests.worker import plays
from tests.worker.interactions.test_stored import words
from tests.worker.interactions.uploading import rows
from worker.interactions import removal
from worker.interactions.stored import Interactions, empty_catalogue
from worker.tables import Texts


@pytest.mark.parametrize("time", [True, False])
@pytest.mark.parametrize("catalogue", [True, False])
def test_all_other_events_stay_in_their_order(*, time: bool, catalogue: bool) -> None:
    whole = plays.interactions(plays.make(30, 40), time=time, catalogue=catalogue)

    left = removal.remove(whole, 7)

    assert left.users == [user for user in whole.users if user != "u00007"]
    assert rows(left) == [row for row in rows(whole) if row[0] != "u00007"]
    assert left.user.dtype == left.item.dtype == np.int32
    assert left.items == (whole.items if catalogue else sorted({row[1] for row in rows(left)}))
    assert left.catalogue.num_rows == len(left.items)


def test_an_item_that_nobody_else_has_played_stays_only_in_an_item_table() -> None:
    whole = Interactions(
        ["a", "b"], ["listed", "shared", "unlisted"], np.array([0, 0, 0, 1], np.int32),
        np.array([0, 1, 2, 1], np.int32), np.ones(4), None,
        Texts(["a's car", "home"], np.array([0, 1, -1, 1], np.int32)), pa.table({"year": [1, 2, None]}),
        np.array([True, True, False]),
    )  # fmt: skip

    left = removal.remove(whole, 0)

    assert (left.items, left.catalogue.to_pydict()) == (["listed", "shared"], {"year": [1, 2]})
    assert rows(left) == [("b", "shared", 1.0, "home")]
    assert left.context is not None
    assert (left.context.words, words(left.context)) == (["home"], ["home"])


def test_the_last_user_leaves_nothing() -> None:
    one = Interactions(
        ["a"], ["x"], np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones(1), np.ones(1), None, empty_catalogue(1)
    )

    left = removal.remove(one, 0)

    assert (left.users, left.items, len(left.user), left.catalogue.num_rows) == ([], [], 0, 0)
