"""A learned network with NumPy alone: one tower reads what was played, the other is a vector of each item."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from shared.networks import Activation
from worker.activations import ACTIVATIONS
from worker.recommenders import products
from worker.recommenders.histories import Histories, Weighting, weigh

Json = dict[str, Any]
Method = Literal["two_tower", "autoencoder"]


@dataclass(frozen=True)
class Layer:
    """activation(x kernel + bias)."""

    kernel: np.ndarray  # float32 (inputs, units)
    bias: np.ndarray  # float32 (units,)
    activation: Activation


@dataclass(frozen=True)
class Towers:
    """The score of an item is the product of its vector and a listener's, plus its bias.

    A listener's is the sum of `reading` over what was played, by weights whose squares sum to 1, and beside it what the
    layers make of that.
    """

    method: Method
    weighting: Weighting
    reading: np.ndarray  # float32 (items, size)
    layers: tuple[Layer, ...]
    vectors: np.ndarray  # float32 (items, size)
    bias: np.ndarray  # float32 (items,)
    unknown: np.ndarray  # int32, places of what is not recommended

    @property
    def count(self) -> int:
        return len(self.vectors)

    @property
    def known(self) -> np.ndarray:
        return products.all_but(self.count, self.unknown)

    @property
    def offered(self) -> np.ndarray:
        return self.known

    @property
    def has_reasons(self) -> bool:
        """Without layers a score is a sum over what was played."""
        return not self.layers

    def read(self, given: Histories) -> np.ndarray:
        # SciPy adds up a row's items one after the other: of a listener the same, bit by bit, whoever stands beside.
        weights = weigh(given.weights, self.weighting, given.users)
        shares = replace(given, weights=unit_shares(weights, given.users)).matrix()
        summed = np.asarray(shares @ self.reading, np.float32)
        if not self.layers:
            return summed
        # One by one: so the product of each has the same shape whoever stands beside, and rounds alike.
        found = np.zeros((len(given), self.vectors.shape[1]), np.float32)
        for user in np.flatnonzero(given.lengths > 0):
            found[user] = self._through(summed[user])
        return found

    def _through(self, summed: np.ndarray) -> np.ndarray:
        row = summed[None]
        for layer in self.layers:
            row = ACTIVATIONS[layer.activation](row @ layer.kernel + layer.bias)
        return row[0] + summed

    def scores(self, users: np.ndarray) -> np.ndarray:
        found: np.ndarray = users @ self.vectors.T
        found += self.bias
        found[:, self.unknown] = -np.inf
        return found

    @cached_property
    def _longest(self) -> float:
        return products.longest(self.vectors)

    def slack(self, users: np.ndarray) -> np.ndarray:
        return products.slack(users, self._longest)

    def refine(self, users: np.ndarray, scores: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return products.exact(users, self.vectors, chosen) + self.bias[chosen]

    def contributions(self, items: np.ndarray, weights: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        parts = self.reading[items].astype(np.float64) @ self.vectors[wanted].T.astype(np.float64)
        shares = unit_shares(weigh(weights, self.weighting), np.zeros(len(weights), np.int64))
        found: np.ndarray = parts * shares[:, None]
        return found

    def similar(self, item: int) -> np.ndarray | None:
        return products.cosines(self.vectors, item, self.unknown)

    def describe(self) -> tuple[Json, dict[str, np.ndarray]]:
        activations = [layer.activation for layer in self.layers]
        said = {"method": self.method, "form": "towers", "weighting": self.weighting, "layers": activations}
        arrays = {"reading": self.reading, "vectors": self.vectors, "bias": self.bias, "unknown": self.unknown}
        for place, layer in enumerate(self.layers):
            arrays |= {f"layer.{place}.kernel": layer.kernel, f"layer.{place}.bias": layer.bias}
        return said, arrays


def unit_shares(weights: np.ndarray, users: np.ndarray) -> np.ndarray:
    """How much of each pair is read, float32: the squares of a listener's sum to 1."""
    squares = np.bincount(users, weights.astype(np.float64) ** 2)
    shares: np.ndarray = (weights / np.sqrt(squares[users])).astype(np.float32)
    return shares


def restore(spec: Json, arrays: dict[str, np.ndarray]) -> Towers:
    """As it was described. Raises KeyError or ValueError."""
    layers = tuple(
        Layer(arrays[f"layer.{place}.kernel"], arrays[f"layer.{place}.bias"], activation)
        for place, activation in enumerate(spec["layers"])
    )
    return Towers(
        spec["method"], spec["weighting"], arrays["reading"], layers, arrays["vectors"], arrays["bias"],
        arrays["unknown"],
    )  # fmt: skip
