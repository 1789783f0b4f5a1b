"""Makes lists: for one who asks and for all listeners of a dataset alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.errors import Fault, InvalidRequest
from shared.list_params import ListParams
from worker.recommenders import filters, products, ranking
from worker.recommenders.artifacts import RecommenderModel
from worker.recommenders.histories import Histories, gather
from worker.recommenders.ranking import Rules
from worker.recommenders.recommender import Recommender
from worker.recommenders.selection import NOTHING

Json = dict[str, Any]

# More than that help nobody.
LABELS_NAMED = 20
HISTORY, POPULARITY = "history", "popularity"


@dataclass(frozen=True)
class Listed:
    """A list of each user: places of items by rank, -1 at the end, their scores, and what speaks most for each.

    All int64 or float32 (users, k); `by_history` bool (users,): for the others nothing is known, and the list is what
    most have played. `reasons` are places of items that were played, -1 where there is none.
    """

    items: np.ndarray
    scores: np.ndarray
    reasons: np.ndarray
    by_history: np.ndarray


def rules(model: RecommenderModel, params: ListParams, *, pointer: str) -> Rules:
    """The rules of what was asked, in the places of the model's items. Raises InvalidRequest."""
    wanted = params.filters.model_dump(exclude_none=True)
    allowed = filters.allowed(model.catalogue, wanted, pointer=f"{pointer}/filters")
    if params.min_listeners:
        # What nobody has played gives nobody away.
        is_private = (model.listeners >= params.min_listeners) | (model.listeners == 0)
        allowed = is_private if allowed is None else allowed & is_private
    owners = None
    if params.cap is not None:
        if params.cap.column not in model.catalogue:
            raise _no_column(model, params.cap.column, f"{pointer}/cap/column")
        owners = model.catalogue.labels(params.cap.column).first()
    return Rules(
        k=params.k,
        exclude_heard=params.exclude_heard,
        allowed=allowed,
        owners=owners,
        per_owner=params.cap.at_most if params.cap is not None else 0,
        diversity=params.diversity,
        vectors=model.vectors,
        popularity_penalty=params.popularity_penalty,
        popularity=model.popularity,
        unknown_labels=tuple(filters.unknown_labels(model.catalogue, wanted)[:LABELS_NAMED]),
    )


def _no_column(model: RecommenderModel, name: str, pointer: str) -> InvalidRequest:
    known = ", ".join(model.catalogue.names[: filters.NAMED]) or "none"
    said = f"expected a column of the item table, which has {known}, received {name!r}"
    return InvalidRequest(said, faults=[Fault(said, pointer=pointer)])


def lists(model: RecommenderModel, given: Histories, asked: Rules, *, explain: bool) -> Listed:
    """The lists of users; `given` in the places of the model's items."""
    with products.one_thread():
        return _lists(model, given, asked, explain)


def _lists(model: RecommenderModel, given: Histories, asked: Rules, explain: bool) -> Listed:
    k = asked.k
    by_history = _has_known(model.model, given)
    found = Listed(
        np.full((len(given), k), NOTHING, np.int64), np.full((len(given), k), -np.inf, np.float32),
        np.full((len(given), k), NOTHING, np.int64), by_history,
    )  # fmt: skip
    for used, chosen in ((model.model, by_history), (model.fallback, ~by_history)):
        users = np.flatnonzero(chosen)
        ranked = ranking.rank(used, given.take(users), asked)
        found.items[users], found.scores[users] = ranked.items, ranked.scores
    if explain and model.model.has_reasons:
        for user in np.flatnonzero(by_history).tolist():
            found.reasons[user] = _reasons(model.model, *given.of(user), found.items[user])
    return found


def _has_known(model: Recommender, given: Histories) -> np.ndarray:
    known = np.bincount(given.users[model.known[given.items]], minlength=len(given))
    return np.asarray(known > 0)


def _reasons(model: Recommender, items: np.ndarray, weights: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The item that adds most to the score of each; -1 where none adds anything."""
    is_there = wanted != NOTHING
    reasons = np.full(len(wanted), NOTHING, np.int64)
    if is_there.any():
        parts = model.contributions(items, weights, wanted[is_there])
        # An item that is heard again is no reason for itself.
        parts[items[:, None] == wanted[is_there][None]] = -np.inf
        best = parts.argmax(axis=0)
        speaks = parts[best, np.arange(len(best))] > 0
        reasons[is_there] = np.where(speaks, items[best], NOTHING)
    return reasons


def in_places_of(model: RecommenderModel, items: Sequence[str], histories: Histories) -> Histories:
    """Histories of another catalogue in the places of the model's; what it does not know is left out."""
    # Only what was played is looked up: of one listener some dozens, and a catalogue may have a million.
    played, of_pair = np.unique(histories.items, return_inverse=True)
    places = np.array([model.places.get(items[item], NOTHING) for item in played.tolist()], np.int64)
    there = places[of_pair]
    kept = there != NOTHING
    return gather(
        histories.users[kept], there[kept], histories.weights[kept], users=len(histories), items=len(model.items)
    )
