"""New items are found by what they are like; nothing of their plays is learned from."""

import numpy as np

from bench import newcomers
from shared.kinds.recommendation import TrainParams


def test_tastes_are_of_a_few_styles_and_an_artist_has_one() -> None:
    plays = newcomers.draw(50, 400, seed=0)

    rows = plays.catalogue.to_pylist()
    style = np.array([row["tags"].split("|")[0] for row in rows])
    for artist in {row["artist"] for row in rows}:
        assert len({style[place] for place, row in enumerate(rows) if row["artist"] == artist}) == 1
    shares = []
    for user in range(50):
        _, counts = np.unique(style[plays.item[plays.user == user]], return_counts=True)
        shares.append(np.sort(counts)[-newcomers.LIKED :].sum() / counts.sum())
    assert np.mean(shares) > 0.7


def test_items_without_plays_are_found_oftener_than_by_chance() -> None:
    plays = newcomers.draw(200, 1_200, seed=1)

    found = newcomers.look(plays, TrainParams.model_validate({"split": "random", "candidates": ["als"]}))

    assert found.method == "als"
    assert found.recall > 2 * found.by_chance > 0
