"""Tables in which labels are wrong, and it is known which."""

from typing import Any

import numpy as np

from tests.worker import canonical

GENRES = ("jazz", "pop", "rock")
WELL = {"epochs": 60, "hidden": [{"units": 16}], "learning_rate": 0.01, "batch_size": 16, "early_stopping": False}

Json = dict[str, Any]


def songs(rows: int = 300, *, wrong: int = 20, seed: int = 0) -> tuple[Json, dict[int, str]]:
    """Songs of three genres, of which so many were given another; with the true genre of these by their row."""
    columns, random = canonical.music(rows, seed=seed), np.random.default_rng(seed + 1000)
    energy = random.uniform(size=rows)
    told = (np.array(columns["tempo"]) - 120) / 20 + 4 * (energy - 0.5) + 0.1 * random.normal(size=rows)
    true = np.digitize(told, np.quantile(told, [1 / 3, 2 / 3]))
    planted = random.choice(rows, wrong, replace=False)
    given = true.copy()
    given[planted] = (true[planted] + random.integers(1, len(GENRES), wrong)) % len(GENRES)
    columns.pop("loudness")
    columns |= {"energy": energy, "genre": [GENRES[place] for place in given]}
    return columns, {int(row): GENRES[true[row]] for row in planted}
