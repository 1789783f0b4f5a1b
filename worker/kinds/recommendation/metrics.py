"""How good lists are: what of the hidden plays they hold, and what they are like otherwise."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.kinds.recommendation import KS, METRICS
from worker.interactions.stored import Interactions
from worker.recommenders import accuracy, beyond, intervals, listing, ranking
from worker.recommenders.artifacts import RecommenderModel
from worker.recommenders.catalogue import ARTISTS, GENRES, Catalogue
from worker.recommenders.histories import Histories, gather
from worker.recommenders.ranking import Rules
from worker.recommenders.recommender import Recommender
from worker.recommenders.splits import Task

Json = dict[str, Any]

LONGEST = max(KS)
# What lists are like is told of so many places.
SHOWN = 20
# Of new items alone a list has room for one in so many at the most: a longer one finds them by chance.
PLACES_OF_NEW = 5


@dataclass(frozen=True)
class Judged:
    """Lists of the judged users, int64 (users, 100), and what each user's comes to by each metric, float64 (users,)."""

    lists: np.ndarray
    per_user: dict[str, np.ndarray]
    # Which items can stand in a list, bool (items,).
    offered: np.ndarray

    def mean(self, metric: str) -> float:
        """Over all judged users."""
        values = self.per_user[metric]
        return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0


def judge(model: Recommender, task: Task, *, check: Any = lambda: None) -> Judged:
    """Rank all that a user has not played before, and look for what is hidden."""
    lists = ranking.rank(model, task.given, Rules(k=LONGEST), check).items
    found = accuracy.per_user(lists, task.hidden, KS)
    return Judged(lists, {name: found[name] for name in METRICS}, model.offered)


def tell(judged: Judged, *, seed: int) -> Json:
    """Each metric with its interval over users."""
    return intervals.means(judged.per_user, seed)


def compare(ours: Judged, theirs: Judged, metric: str, *, seed: int) -> Json:
    """The difference on the same users, with an interval and how likely chance makes one as large."""
    return {"metric": metric, **intervals.paired(ours.per_user[metric], theirs.per_user[metric], seed)}


def judge_stored(model: RecommenderModel, plays: Interactions, task: Task, *, check: Any) -> tuple[Judged, Histories]:
    """The same of a model that has a catalogue of its own; and what is given, in its places.

    What is hidden and not known to the model counts as not found.
    """
    given = listing.in_places_of(model, plays.items, task.given)
    # As they are served: of whom nothing is known, by what most have played.
    lists = listing.lists(model, given, Rules(k=LONGEST), explain=False).items
    check()
    extra = {item: len(model.items) + place for place, item in enumerate(set(plays.items) - set(model.places))}
    places = np.array([model.places.get(item, extra.get(item, 0)) for item in plays.items], np.int64)
    hidden = gather(
        task.hidden.users, places[task.hidden.items], task.hidden.weights, users=len(task.hidden),
        items=len(model.items) + len(extra),
    )  # fmt: skip
    found = accuracy.per_user(lists, hidden, KS)
    return Judged(lists, {name: found[name] for name in METRICS}, model.model.offered), given


def describe(
    judged: Judged,
    listeners: np.ndarray,
    *,
    users: int,
    given: Histories,
    catalogue: Catalogue,
    vectors: np.ndarray,
) -> Json:
    """What the first places of the lists are like beside accuracy; `listeners` of each item, of so many users."""
    lists = judged.lists[:, :SHOWN]
    said: Json = {
        "places": SHOWN,
        "coverage": beyond.coverage(lists, int(judged.offered.sum())),
        "never_played": _share(lists, listeners == 0),
        "gini": beyond.gini(lists, len(listeners)),
        "novelty_bits": beyond.novelty(lists, listeners, users),
        "popularity": beyond.popularity(lists, listeners),
        "diversity": beyond.diversity(lists, vectors),
    }
    genre, artist = catalogue.first_of(GENRES), catalogue.first_of(ARTISTS)
    if genre is not None:
        labels = catalogue.labels(genre).matrix
        said["calibration"] = {"column": genre, "divergence": beyond.calibration(lists, given.weighted("log"), labels)}
    if artist is not None:
        owners = catalogue.labels(artist)
        said["shares"] = {"column": artist, **beyond.shares(lists, owners.first(), owners.words)}
    return said


def _share(lists: np.ndarray, these: np.ndarray) -> float | None:
    """The share of all places that such items have, bool (items,)."""
    places = lists[lists >= 0]
    return float(these[places].mean()) if len(places) else None


def judge_new(model: Recommender, plays: Histories, cold: np.ndarray) -> Json:
    """How well items are found that nobody was known to have played; `cold` are their places, `plays` all plays.

    Ranked are those items alone, of users who have played something else as well; and once among all others.
    """
    k = max(1, min(SHOWN, len(cold) // PLACES_OF_NEW))
    is_cold = np.zeros(plays.count, bool)
    is_cold[cold] = True
    hidden, given = plays.only(is_cold[plays.items]), plays.only(~is_cold[plays.items])
    users = np.flatnonzero((hidden.lengths > 0) & (given.lengths > 0))
    alone, among_all = (
        ranking.rank(model, given.take(users), Rules(k=k, allowed=allowed)).items for allowed in (is_cold, None)
    )
    # By chance k of the cold ones, each as likely as any other.
    wanted = hidden.take(users).lengths
    chance = np.minimum(k, len(cold)) * wanted / max(1, len(cold)) / np.minimum(k, np.maximum(1, wanted))
    return {
        "items": len(cold),
        "users": len(users),
        "k": k,
        "recall": beyond.cold_recall(alone, hidden.take(users), is_cold, k),
        "recall_among_all": beyond.cold_recall(among_all, hidden.take(users), is_cold, k),
        "by_chance": float(chance.mean()) if len(users) else None,
    }
