"""Answers what a listener would like, or what is like an item; from memory, and nothing is written."""

import numpy as np
import orjson

from shared.errors import NotAllowedNow, NotFound
from shared.questions import Wish
from worker.recommenders import listing, selection
from worker.recommenders.artifacts import RecommenderModel
from worker.recommenders.histories import Histories, single
from worker.recommenders.listing import HISTORY, POPULARITY
from worker.recommenders.ranking import DIGITS
from worker.recommenders.selection import NOTHING
from worker.tastes import Listeners, Model

# Of items that the model does not know: more names than that help nobody.
NAMED = 20


def recommend(model: Model, wish: Wish, listeners: Listeners | None) -> bytes:
    """A list for one of a dataset, or for one who has played these items, as JSON."""
    learned, unknown = model.learned, []
    if wish.played is not None:
        unknown = [item for item in wish.played if item not in learned.places][:NAMED]
        known = {learned.places[item]: weight for item, weight in wish.played.items() if item in learned.places}
        given, is_known = single(list(known), list(known.values()), count=len(learned.items)), True
    else:
        given, is_known = _history(learned, wish.user or "", listeners)
    rules = model.ruled(wish.wanted)
    listed = listing.lists(learned, given, rules, explain=wish.wanted.explain)
    said = {
        "data": _rows(learned, listed.items[0], listed.scores[0], listed.reasons[0]),
        "basis": HISTORY if listed.by_history[0] else POPULARITY,
        "is_known": is_known,
        "unknown_items": unknown,
        "unknown_labels": [{"column": column, "label": label} for column, label in rules.unknown_labels],
    }
    return orjson.dumps(said)


def _history(learned: RecommenderModel, user: str, listeners: Listeners | None) -> tuple[Histories, bool]:
    place = listeners.places.get(user) if listeners is not None else None
    if listeners is None or place is None:
        return single([], [], count=len(learned.items)), False
    return listing.in_places_of(learned, listeners.items, listeners.histories.within(place, place + 1)), True


def _rows(
    learned: RecommenderModel, items: np.ndarray, scores: np.ndarray, reasons: np.ndarray
) -> list[dict[str, object]]:
    names = learned.items
    return [
        {
            "item": names[item],
            "score": _told(score),
            "reason": None if reason == NOTHING else {"because_of": names[reason]},
        }
        for item, score, reason in zip(items.tolist(), scores.tolist(), reasons.tolist(), strict=True)
        if item != NOTHING
    ]


def _told(score: float) -> float:
    """As it stands in the files of a job."""
    return float(f"{score:.{DIGITS}g}")


def similar(model: Model, wish: Wish) -> bytes:
    """The items most like one, as JSON. Raises NotFound and NotAllowedNow."""
    learned, item = model.learned, wish.like or ""
    place = learned.places.get(item)
    if place is None:
        raise NotFound("The model does not know the item.")
    scores = learned.model.similar(place)
    if scores is None:
        said = "Nothing is known of what the item is like: nobody has played it, or the model is one of popularity."
        raise NotAllowedNow(said, code="item_unlike")
    # What has nothing in common with it, or speaks against it, is not like it.
    scores[~(scores > 0)] = -np.inf
    rules = model.ruled(wish.wanted)
    if rules.allowed is not None:
        scores[~rules.allowed] = -np.inf
    chosen = selection.largest(scores[None], rules.k)[0]
    chosen = chosen[chosen != NOTHING]
    chosen = chosen[np.lexsort((chosen, -scores[chosen]))]
    data = [{"item": learned.items[each], "score": _told(scores[each])} for each in chosen.tolist()]
    return orjson.dumps({"data": data})
