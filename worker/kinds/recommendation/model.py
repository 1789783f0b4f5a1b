"""Each model that may be kept and the settings among which validation chooses; how they learn, and know new items."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from shared.kinds.recommendation import PRIVATE, Method, TrainParams, Weighting
from worker.recommenders import (
    als,
    autoencoder,
    likeness,
    neighbours,
    popularity,
    towers_private,
    towers_training,
)
from worker.recommenders.artifacts import RecommenderModel
from worker.recommenders.catalogue import Catalogue
from worker.recommenders.choosing import Ladder
from worker.recommenders.histories import Histories
from worker.recommenders.popularity import Popular
from worker.recommenders.recommender import Recommender
from worker.recommenders.towers import Method as NetworkMethod
from worker.recommenders.towers import Towers

Json = dict[str, Any]

CANDIDATES: tuple[Method, ...] = ("popularity", "neighbours", "ease", "als")
NETWORKS: tuple[NetworkMethod, ...] = ("two_tower", "autoencoder")
FULL = "full"
# How much the score of an item counts of which no plays are known.
NEW_ITEMS = "new_items"


@dataclass(frozen=True)
class Candidate:
    """A model and its settings, before it has learned."""

    method: Method
    settings: Json


@dataclass(frozen=True)
class Space:
    """Where the search for settings begins, and which are moved in which order."""

    begin: Json
    ladders: tuple[Ladder, ...]


def methods(params: TrainParams, plays: Histories) -> list[Method]:
    """Those that are compared; what is simplest first, for among equals the first is kept."""
    if params.privacy is not None:
        # What it would be compared with learns without an account.
        return [PRIVATE]
    if params.model != "auto":
        return list(dict.fromkeys(("popularity", params.model)))
    if params.candidates is not None:
        return list(params.candidates)
    users, items = np.count_nonzero(plays.lengths), np.count_nonzero(plays.listeners)
    return [*CANDIDATES, *(NETWORKS if params.affords_networks(users=int(users), items=int(items)) else ())]


def space(params: TrainParams, method: Method, *, items: int, has_content: bool = False) -> Space:
    """The settings of a method; what the client has named stays. With content new items have a weight as well."""
    found = _space(params, method, items)
    if not has_content or params.content is None or method == "two_tower":
        return found
    weight = params.content.weight
    begin = {**found.begin, NEW_ITEMS: 0.5 if weight is None else weight}
    is_moved = weight is None and method not in ("popularity", *NETWORKS)
    return Space(begin, (*found.ladders, *((Ladder(NEW_ITEMS, (0.25, 0.5, 1.0)),) if is_moved else ())))


def _space(params: TrainParams, method: Method, items: int) -> Space:
    if method == "popularity":
        return Space({}, ())
    if method == "neighbours":
        return _neighbours(params)
    if method == "ease":
        return _ease(params, items)
    return _als(params) if method == "als" else _given({}, {"weighting": "damped"}, [], params)


def _neighbours(params: TrainParams) -> Space:
    asked = params.neighbours
    begin = {"neighbours": 100, "shrink": 10.0, "weighting": "damped"}
    ladders = [
        Ladder("shrink", (2.0, 10.0, 50.0), 5.0), Ladder("neighbours", (100, 400)), _weightings("binary", "log")
    ]  # fmt: skip
    return _given({"neighbours": asked.neighbours, "shrink": asked.shrink}, begin, ladders, params)


def _ease(params: TrainParams, items: int) -> Space:
    """The begin and the steps were found on plays of 1,900 listeners (docs/decisions/0011)."""
    asked = params.ease
    begin = {"rank": 128, "l2": 50.0, "ridge_power": 0.5, "score_power": 0.15, "weighting": "damped"}
    forms: tuple[Any, ...] = (64, 128) if items > asked.items_at_most else (64, 128, FULL)
    ladders = [
        Ladder("l2", (20.0, 50.0, 125.0), 2.5), Ladder("score_power", (0.0, 0.15, 0.3)),
        _weightings("binary"), Ladder("ridge_power", (0.0, 0.5)), Ladder("rank", forms),
    ]  # fmt: skip
    said = {"rank": asked.rank, "l2": asked.l2, "ridge_power": asked.ridge_power, "score_power": asked.score_power}
    return _given(said, begin, ladders, params)


def _als(params: TrainParams) -> Space:
    """The customary regularization, hundreds of times less, does worse than any neighbour (docs/decisions/0011)."""
    asked = params.als
    begin = {"factors": 128, "alpha": asked.alpha, "regularization": 3.25 * asked.alpha, "weighting": "damped"}
    steps = tuple(times * asked.alpha for times in (1.5, 2.25, 3.25, 4.75))
    ladders = [Ladder("regularization", steps, 1.5), Ladder("factors", (64, 128)), _weightings("binary")]
    return _given({"factors": asked.factors, "regularization": asked.regularization}, begin, ladders, params)


def _weightings(*others: Weighting) -> Ladder:
    return Ladder("weighting", ("damped", *others))


def _given(asked: Json, begin: Json, ladders: list[Ladder], params: TrainParams) -> Space:
    """With what the client has named in the place of what would be tried."""
    weighting = None if params.weighting == "auto" else params.weighting
    named = {name: value for name, value in {**asked, "weighting": weighting}.items() if value is not None}
    return Space({**begin, **named}, tuple(ladder for ladder in ladders if ladder.name not in named))


def fit(
    candidate: Candidate,
    given: Histories,
    features: sparse.csr_matrix | None,
    params: TrainParams,
    *,
    told: Callable[[float], Any],
) -> Recommender:
    """Learn; `told` takes how much is done, and may raise. Of a network as many epochs as its settings say."""
    settings = {name: value for name, value in candidate.settings.items() if name != NEW_ITEMS}
    if candidate.method in NETWORKS:
        return fit_network(candidate, given, features, params, told=lambda figures: told(figures["epoch"])).towers
    if candidate.method == "popularity":
        return popularity.fit(given)
    if candidate.method == "neighbours":
        return neighbours.fit(given, **settings, told=told)
    if candidate.method == "ease":
        return _fit_ease(settings, given, params, told)
    rounds = params.als.iterations
    return als.fit(given, **settings, iterations=rounds, seed=params.seed, told=lambda done: told(done / rounds))


def fit_network(
    candidate: Candidate,
    given: Histories,
    features: sparse.csr_matrix | None,
    params: TrainParams,
    *,
    told: Callable[[dict[str, float]], Any],
    judge: Callable[[Recommender], float] | None = None,
    state: towers_training.State | None = None,
    save: Callable[[towers_training.State], Any] | None = None,
) -> towers_training.Fitted:
    """Learn epoch by epoch; with `judge` until that finds nothing better, else as many as the settings say."""
    asked, stopping = params.network, params.stopping
    settings = towers_training.Settings(
        method="two_tower" if candidate.method == "two_tower" else "autoencoder",
        weighting=candidate.settings["weighting"],
        embedding=asked.embedding,
        hidden=tuple(asked.hidden),
        dropout=asked.dropout,
        l2=asked.l2,
        epochs=candidate.settings.get("epochs", params.epochs_at_most),
        training=params,
    )
    if stopping is None or "epochs" in candidate.settings:
        judge = None
    patience = stopping.patience if stopping is not None else settings.epochs
    steps = None if params.privacy is None else towers_private.plan(given, params)
    return towers_training.fit(
        given, features, settings, judge=judge, patience=patience, told=told, steps=steps, state=state, save=save
    )


def _fit_ease(settings: Json, given: Histories, params: TrainParams, told: Callable[[float], Any]) -> Recommender:
    if settings["rank"] != FULL:
        return autoencoder.fit_rank(given, **settings, told=told)
    asked, rest = params.ease, {name: value for name, value in settings.items() if name != "rank"}
    return autoencoder.fit(given, **rest, dropout=asked.dropout, items_at_most=asked.items_at_most, told=told)


def settled(params: TrainParams) -> TrainParams:
    """The params as they are carried out, without what a private training has not."""
    if params.privacy is None:
        return params
    return params.model_copy(update={"model": PRIVATE, "content": None, "bots": "keep"})


def finish_private(model: Towers, users: int, items: list[str], catalogue: Catalogue) -> RecommenderModel:
    """As `finish`, of nothing but what was learned: it says itself what is popular, and what is alike."""
    lengths = np.linalg.norm(model.vectors, axis=1, keepdims=True)
    alike = np.divide(model.vectors, lengths, out=np.zeros_like(model.vectors), where=lengths > 0)
    nobody = np.zeros(len(items), np.int64)
    return RecommenderModel(model, items, nobody, catalogue, alike, Popular(model.bias), users)


def finish(
    model: Recommender,
    plays: Histories,
    items: list[str],
    catalogue: Catalogue,
    features: sparse.csr_matrix | None,
    fallback: Recommender | None = None,
) -> RecommenderModel:
    """The model as it is kept; `fallback` is for those of whom nothing is known."""
    return RecommenderModel(
        model,
        items,
        plays.listeners.astype(np.int64),
        catalogue,
        likeness.vectors(plays, features),
        popularity.fit(plays) if fallback is None else fallback,
        int(np.count_nonzero(plays.lengths)),
    )
