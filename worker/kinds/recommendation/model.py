"""Learns each model that may be kept, with each setting that may do best, and what the kept one knows of new items."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy import sparse

from shared.kinds.recommendation import Method, TrainParams
from worker.recommenders import als, autoencoder, likeness, neighbours, newcomers, popularity
from worker.recommenders.artifacts import RecommenderModel
from worker.recommenders.catalogue import Catalogue
from worker.recommenders.histories import Histories
from worker.recommenders.recommender import Recommender

Json = dict[str, Any]

CANDIDATES: tuple[Method, ...] = ("popularity", "neighbours", "ease", "als")
NETWORKS = ("two_tower", "autoencoder")


@dataclass(frozen=True)
class Candidate:
    """A model and its settings, before it has learned."""

    method: Method
    settings: Json


def candidates(params: TrainParams, method: Method) -> list[Candidate]:
    """A method with each of the settings among which validation chooses."""
    return [Candidate(method, settings) for settings in _grid(params, method)]


def methods(params: TrainParams) -> list[Method]:
    """Those that are compared; what is simplest first, for among equals the first is kept."""
    if params.model != "auto":
        return list(dict.fromkeys(("popularity", params.model)))
    return list(params.candidates or CANDIDATES)


def _grid(params: TrainParams, method: Method) -> Iterator[Json]:
    weightings = ["binary", "log"] if params.weighting == "auto" else [params.weighting]
    if method == "popularity":
        yield {}
    elif method == "neighbours":
        asked = params.neighbours
        for size, shrink, weighting in product(
            _asked(asked.neighbours, (50, 200)), _asked(asked.shrink, (0.0, 10.0)), weightings
        ):
            yield {"neighbours": size, "shrink": shrink, "weighting": weighting}
    elif method == "ease":
        asked_ease = params.ease
        for l2, dropout, weighting in product(
            _asked(asked_ease.l2, (20.0, 100.0, 500.0)), _asked(asked_ease.dropout, (0.0, 0.3)), weightings
        ):
            yield {"l2": l2, "dropout": dropout, "weighting": weighting, "items_at_most": asked_ease.items_at_most}
    elif method == "als":
        asked_als = params.als
        for alpha, regularization, weighting in product(
            _asked(asked_als.alpha, (5.0, 20.0)), _asked(asked_als.regularization, (1.0,)), weightings
        ):
            yield {
                "alpha": alpha, "regularization": regularization, "weighting": weighting,
                "factors": asked_als.factors, "iterations": asked_als.iterations, "seed": params.seed,
            }  # fmt: skip


def _asked(value: Any, otherwise: tuple[Any, ...]) -> tuple[Any, ...]:  # Any: a setting
    return otherwise if value is None else (value,)


def fit(candidate: Candidate, given: Histories, *, told: Callable[[float], Any]) -> Recommender:
    """Learn; `told` takes the share that is done, and may raise."""
    settings = dict(candidate.settings)
    if candidate.method == "popularity":
        return popularity.fit(given)
    if candidate.method == "neighbours":
        return neighbours.fit(given, **settings, told=told)
    if candidate.method == "ease":
        return autoencoder.fit(given, **settings, told=told)
    iterations = settings["iterations"]
    return als.fit(given, **settings, told=lambda done: told(done / iterations))


def finish(
    model: Recommender, plays: Histories, items: list[str], catalogue: Catalogue, features: sparse.csr_matrix | None
) -> RecommenderModel:
    """The model as it is kept, with what it knows of items that nobody has played."""
    return RecommenderModel(
        newcomers.extend(model, features),
        items,
        plays.listeners.astype(np.int64),
        catalogue,
        likeness.vectors(plays, features),
        newcomers.extend(popularity.fit(plays), features),
    )
