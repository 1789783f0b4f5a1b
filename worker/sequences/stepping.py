"""The networks of sequences in NumPy, a step at a time with what was before kept: what TensorFlow computes, to 1e-4.

A step of one piece is less work than TensorFlow needs to begin it. Products with what is one of few codes are looked up
in tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from shared.sequence_networks import Decoder, Gru
from worker.sequences.spec import SequenceSpec

Weights = Mapping[str, np.ndarray]


@dataclass
class Kept:
    """What a network keeps of the steps before, for each row; `count` steps were made."""

    arrays: list[np.ndarray]
    count: int = 0

    def take(self, rows: np.ndarray) -> "Kept":
        """The same for other rows: a row may be taken several times, or never."""
        return Kept([array[rows] for array in self.arrays], self.count)


class Stepper:
    """A network ready to go step by step."""

    def __init__(self, spec: SequenceSpec, weights: Weights) -> None:
        self.spec, self._weights = spec, weights
        network, fields = spec.network, spec.fields
        top = len(weights["head.state"]) - fields * network.embedding - spec.context
        lead = weights["gru.0.kernel"] if isinstance(network, Gru) else weights["decoder.input"]
        # Of the codes before the step: what they bring to the first layer, and past all layers to the choice.
        self._leading = [table @ part for table, part in zip(self._embeddings, self._by_field(lead), strict=True)]
        past = weights["head.state"][top:]
        self._past = [table @ part for table, part in zip(self._embeddings, self._by_field(past), strict=True)]
        known = weights["head.known"] * spec.known_mask()
        self._known = [table @ part for table, part in zip(self._embeddings, self._by_field(known), strict=True)]
        self._of_context = np.concatenate([lead[-spec.context :], past[-spec.context :]], axis=1)
        self._state_kernel = np.ascontiguousarray(weights["head.state"][:top])
        self._token_mask = spec.token_mask()

    @property
    def _embeddings(self) -> list[np.ndarray]:
        return [self._weights[f"embedding.{field}"] for field in range(self.spec.fields)]

    def _by_field(self, kernel: np.ndarray) -> list[np.ndarray]:
        size = self.spec.network.embedding
        return [kernel[field * size : (field + 1) * size] for field in range(self.spec.fields)]

    def begin(self, rows: int) -> Kept:
        """Before the first step."""
        network = self.spec.network
        if isinstance(network, Gru):
            return Kept([np.zeros((rows, units), np.float32) for units in network.units])
        shape = (rows, network.reach, 2 * network.width)
        return Kept([np.zeros(shape, np.float32) for _ in range(network.layers)])

    def first_codes(self, rows: int) -> np.ndarray:
        """What is known of the fields before the first step."""
        return np.tile(np.array(self.spec.codes, np.int32), (rows, 1))

    def step(self, kept: Kept, codes: np.ndarray, context: np.ndarray) -> np.ndarray:
        """Go on by one step after `codes` (rows, fields); returns what its fields are chosen from. Changes `kept`.

        `context` (rows, numbers) is what is known of the new step.
        """
        told = context @ self._of_context
        width = self._leading[0].shape[1]
        lead, past = told[:, :width], told[:, width:]
        for field, column in enumerate(codes.T):
            lead += self._leading[field][column]
            past += self._past[field][column]
        seen = self._recur(kept, lead) if isinstance(self.spec.network, Gru) else self._attend(kept, lead)
        kept.count += 1
        past += seen @ self._state_kernel
        past += self._weights["head.bias"]
        return past

    def logits(self, hidden: np.ndarray, field: int) -> np.ndarray:
        """The logits of a field's tokens (rows, tokens), from `step` and all that was told since."""
        size = self.spec.network.head
        chosen = hidden[:, field * size : (field + 1) * size]
        active = chosen * special.ndtr(chosen)
        kernel, bias = self._weights["output.kernel"][field], self._weights["output.bias"][field]
        tokens = self.spec.tokens[field]
        return (active @ kernel + bias + self._token_mask[field])[:, :tokens]

    def tell(self, hidden: np.ndarray, field: int, codes: np.ndarray) -> None:
        """Let the later fields of a step know what this one is (rows,). Changes `hidden`."""
        later = (field + 1) * self.spec.network.head
        if later < hidden.shape[1]:
            hidden[:, later:] += self._known[field][codes, later:]

    def _recur(self, kept: Kept, values: np.ndarray) -> np.ndarray:
        network = self.spec.network
        assert isinstance(network, Gru)
        for place, units in enumerate(network.units):
            name = f"gru.{place}"
            if place:
                values = values @ self._weights[f"{name}.kernel"]
            values += self._weights[f"{name}.bias"]
            before = kept.arrays[place]
            product = before @ self._weights[f"{name}.recurrent"]
            product += self._weights[f"{name}.recurrent_bias"]
            gates = special.expit(values[:, : 2 * units] + product[:, : 2 * units])
            update, reset = gates[:, :units], gates[:, units:]
            candidate = np.tanh(values[:, 2 * units :] + reset * product[:, 2 * units :])
            values = candidate + update * (before - candidate)
            kept.arrays[place] = values
        return values

    def _attend(self, kept: Kept, values: np.ndarray) -> np.ndarray:
        network = self.spec.network
        assert isinstance(network, Decoder)
        at = kept.count % network.reach
        there = min(kept.count + 1, network.reach)
        # Keys lie in a ring: how far back each of its places is.
        back = (at - np.arange(there)) % network.reach
        for place in range(network.layers):
            name = f"decoder.{place}"
            normal = _normalise(values, self._weights[f"{name}.attention_gain"])
            mixed = normal @ self._weights[f"{name}.attention"]
            kept.arrays[place][:, at] = mixed[:, network.width :]
            bias = self._weights[f"{name}.distance"][:, back]
            seen = _look(network, mixed[:, : network.width], kept.arrays[place][:, :there], bias)
            values = values + seen @ self._weights[f"{name}.mixed"]
            normal = _normalise(values, self._weights[f"{name}.dense_gain"])
            wide = normal @ self._weights[f"{name}.wide"] + self._weights[f"{name}.wide_bias"]
            values = values + (wide * special.ndtr(wide)) @ self._weights[f"{name}.narrow"]
        return _normalise(values, self._weights["decoder.gain"])


def _look(network: Decoder, query: np.ndarray, both: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Attention of one step (rows, width) to keys and values (rows, steps, 2 width)."""
    rows, steps, size = len(query), both.shape[1], network.width // network.heads
    query = query.reshape(rows, network.heads, 1, size)
    key, value = (
        part.reshape(rows, steps, network.heads, size).transpose(0, 2, 1, 3)
        for part in (both[..., : network.width], both[..., network.width :])
    )
    scores = (query @ key.transpose(0, 1, 3, 2))[:, :, 0] * np.float32(size**-0.5) + bias
    scores -= scores.max(axis=-1, keepdims=True)
    shares = np.exp(scores)
    shares /= shares.sum(axis=-1, keepdims=True)
    return (shares[:, :, None] @ value)[:, :, 0].reshape(rows, network.width)


def _normalise(values: np.ndarray, gain: np.ndarray) -> np.ndarray:
    return values / np.sqrt(np.mean(values * values, axis=-1, keepdims=True) + 1e-6) * gain
