"""What a network that ranks is shown in a step."""

import numpy as np
import pytest
from scipy import sparse

from worker.recommenders.histories import Histories, gather
from worker.recommenders.towers_batches import CONTENT_SIZE, draw, reduced


def drawn(users: int = 40, items: int = 30) -> Histories:
    random = np.random.default_rng(0)
    user, item = random.integers(0, users, users * 6), random.integers(0, items, users * 6)
    return gather(user, item, 1.0 + random.geometric(0.3, users * 6), users=users, items=items)


def test_each_item_is_read_or_to_be_found_and_one_at_least_is_to_be_found() -> None:
    given = drawn()
    given = given.take(np.flatnonzero(given.lengths > 0)[:36])

    batches = list(draw(given, 7, dropout=0.0, seed=0, epoch=0))

    assert [batch.rows for batch in batches] == [5] * 7 + [1]
    assert sum(len(batch.wanted) for batch in batches) == len(given)
    assert sum(len(batch.read) for batch in batches) == len(given.items) - len(given)
    pairs = np.concatenate([np.concatenate([batch.read, batch.wanted]) for batch in batches])
    assert np.array_equal(np.bincount(pairs[:, 1], minlength=given.count), given.listeners)


def test_content_of_many_dimensions_is_known_by_its_largest() -> None:
    random = np.random.default_rng(0)
    features = sparse.csr_matrix(random.normal(size=(300, 3)) @ random.normal(size=(3, 400)))
    features[7] = 0
    features.eliminate_zeros()

    rows = reduced(features)

    dense = features.toarray()
    lengths = np.linalg.norm(dense, axis=1)
    lengths[7] = 1
    expected = (dense / lengths[:, None]) @ (dense / lengths[:, None]).T
    assert rows.shape == (300, CONTENT_SIZE)
    assert rows @ rows.T == pytest.approx(expected, abs=1e-4)
    assert not rows[7].any()
