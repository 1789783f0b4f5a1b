"""The loop makes the same lists as we do, and rows are made of small ones."""

import numpy as np
import pytest

from bench import ranking
from bench.measurement import MeasurementBroken
from bench.peers import loop_ranking
from shared.list_params import ListParams
from worker.recommenders import ranking as ours
from worker.recommenders.ranking import Rules


def test_the_loop_and_we_make_the_same_lists() -> None:
    model, given = ranking.draw(40, 300)
    heard = np.split(given.items, given.indptr[1:-1])

    theirs = loop_ranking.rank(model.read(given), model.vectors, heard, 20)

    ranking.hold(ours.rank(model, given, Rules(k=20)).items, theirs)
    assert not any(np.isin(row, known).any() for row, known in zip(theirs, heard, strict=True))


def test_other_lists_are_no_comparison() -> None:
    lists = np.arange(40).reshape(2, 20)
    ranking.hold(lists, lists[:, ::-1])

    with pytest.raises(MeasurementBroken, match=r"expected the same lists, received 50\.00% that differ"):
        ranking.hold(lists, np.stack([lists[0], lists[0]]))


def test_rows_are_made_of_all_users_and_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"USERS": 400, "ITEMS": 500, "ONES_USERS": 50, "ONES_ITEMS": 600, "QUESTIONS": 8}.items():
        monkeypatch.setattr(ranking, name, value)

    rows = [ranking._all_users(1), ranking._answering(1)]

    assert [row.unit for row in rows] == ["users/s", "ms"]
    assert all(row.ours > 0 and row.peer > 0 for row in rows)


def test_the_filters_keep_some_and_bar_some() -> None:
    model, _ = ranking.held(50, 600)

    rules = model.ruled(ListParams.model_validate({"k": 10, "filters": ranking.FILTERS}))

    assert rules.allowed is not None
    assert 0.5 < rules.allowed.mean() < 0.7
