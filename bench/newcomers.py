"""How well items are found that nobody has played, by what they are like: plays drawn from tastes that are known.

A tenth of the items is taken away with all its plays before anything is chosen or learned; of their listeners each is
to find those that they did play among them, by what they played else.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from bench.listeners import Desk
from bench.measurement import Measurement, compare
from shared.kinds.recommendation import TrainParams
from worker import device, model_search
from worker.interactions.stored import Interactions
from worker.kinds.recommendation import data, metrics
from worker.kinds.recommendation.model import Candidate
from worker.recommenders import splits

USERS, ITEMS, EVENTS, STYLES, LIKED, AN_ARTIST = 1_500, 4_000, 40, 40, 3, 5
COLD = 0.1
# Of a listener's plays some are of anything.
WHATEVER = 0.1


@dataclass(frozen=True)
class Found:
    """What was chosen without the new items, and their recall beside that of chance."""

    method: str
    recall: float
    by_chance: float


def measure(rounds: int) -> list[Measurement]:
    """A round is a drawing of its own."""
    device.prepare()
    found = [look(draw(USERS, ITEMS, seed=seed), TrainParams(seed=seed, split="random")) for seed in range(rounds)]
    chosen = ", ".join(dict.fromkeys(each.method for each in found))
    note = (
        f"{USERS:,} listeners of {LIKED} styles of {STYLES}, a tenth of {ITEMS:,} items held out whole, known by tags "
    )
    note += f"and artist; chosen without them: {chosen}"
    pairs = [(each.recall, each.by_chance) for each in found]
    return [compare("R@20 of items that nobody has played, against chance", pairs, unit="", bar="≥ 5", note=note)]


def look(plays: Interactions, params: TrainParams) -> Found:
    """Choose and learn as a training does, without the plays of the new items; then look for these."""
    cold = np.sort(np.random.default_rng(params.seed).choice(len(plays.items), round(COLD * len(plays.items)), False))
    kept = ~np.isin(plays.item, cold)
    warm = replace(plays, user=plays.user[kept], item=plays.item[kept], weight=plays.weight[kept])
    desk: Any = Desk()  # Any: a Desk of the worker has a database
    prepared = data.prepare(warm, params)
    best = model_search.choose(desk, prepared, params).best()
    assert best is not None
    candidate = Candidate(best["model"], best["settings"])
    learned = model_search.fit(desk, candidate, prepared.everything, prepared, params)
    said = metrics.judge_new(learned, splits.everything(plays), cold)
    return Found(candidate.method, said["recall"], said["by_chance"])


def draw(users: int, items: int, *, seed: int) -> Interactions:
    """Each item is of one style, as are all of its artist; each listener plays a few, what is popular the more."""
    random = np.random.default_rng(seed)
    artist = random.integers(0, max(1, items // AN_ARTIST), items)
    style = random.integers(0, STYLES, items)[artist]
    popularity = 1.0 / random.permutation(np.arange(1, items + 1)) ** 0.6
    played = []
    for _ in range(users):
        liked = random.choice(STYLES, LIKED, replace=False)
        weights = popularity * (np.isin(style, liked) * (1 - WHATEVER) / LIKED + WHATEVER / STYLES)
        played.append(random.choice(items, EVENTS, p=weights / weights.sum()))
    names = [f"i{place:05d}" for place in range(items)]
    how = random.choice(["live", "studio"], items)
    tags = [f"style {of}|{each}" for of, each in zip(style, how, strict=True)]
    table = pa.table({"artist": [f"artist {each}" for each in artist], "tags": tags})
    user = np.repeat(np.arange(users, dtype=np.int32), EVENTS)
    weight = random.geometric(0.4, len(user)).astype(np.float64)
    item = np.concatenate(played).astype(np.int32)
    return Interactions([f"u{place:05d}" for place in range(users)], names, user, item, weight, None, None, table)
