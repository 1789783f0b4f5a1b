"""What a network of sequences is, as data: enough to build it again, and nothing that could be run."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from shared.sequence_networks import Decoder, Gru, SequenceNetwork, shapes

VERSION = 3  # 1 and 2 are the networks of worker/networks.py

_NETWORK: TypeAdapter[Gru | Decoder] = TypeAdapter(SequenceNetwork)


@dataclass(frozen=True)
class SequenceSpec:
    """A network over steps of several fields, chosen one after the other.

    Of each field: how many tokens there are to choose from, and how many codes say what it is afterwards. `context` is
    the number of numbers that are known of a step before it.
    """

    network: Gru | Decoder
    codes: tuple[int, ...]
    tokens: tuple[int, ...]
    context: int

    @property
    def fields(self) -> int:
        return len(self.codes)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The weights by name."""
        return shapes(self.network, codes=self.codes, tokens=self.tokens, context=self.context)

    def known_mask(self) -> np.ndarray:
        """Which weights of `head.known` count: those from a field to the fields that are chosen after it."""
        fields, embedding, head = self.fields, self.network.embedding, self.network.head
        before = np.tri(fields, k=-1, dtype=np.float32).T
        return np.kron(before, np.ones((embedding, head), np.float32))

    def token_mask(self) -> np.ndarray:
        """Added to logits (fields, tokens): 0, or what makes a token that a field has not impossible."""
        widest = max(self.tokens)
        return np.where(np.arange(widest) < np.array(self.tokens)[:, None], 0, -1e9).astype(np.float32)

    def as_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "network": self.network.model_dump(mode="json"),
            "codes": list(self.codes),
            "tokens": list(self.tokens),
            "context": self.context,
        }

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> "SequenceSpec":
        """Read a description; raises ValueError for one that is not ours."""
        if said.get("version") != VERSION:
            raise ValueError(f"expected a network of version {VERSION}")
        network = _NETWORK.validate_python(said["network"])
        return cls(network, tuple(map(int, said["codes"])), tuple(map(int, said["tokens"])), int(said["context"]))


def draw(spec: SequenceSpec, *, seed: int) -> dict[str, np.ndarray]:
    """Weights to begin with, float32: normal, scaled by what flows in (Glorot); biases 0, gains 1."""
    random = np.random.Generator(np.random.PCG64(seed))
    return {name: _draw(name, shape, spec, random) for name, shape in spec.shapes.items()}


def _draw(name: str, shape: tuple[int, ...], spec: SequenceSpec, random: np.random.Generator) -> np.ndarray:
    if name.endswith("gain"):
        return np.ones(shape, np.float32)
    if name.endswith(("bias", "distance")):
        return np.zeros(shape, np.float32)
    inputs = shape[-2]
    if name.startswith("embedding"):
        inputs = 100
    elif name == "head.known":
        inputs = spec.network.embedding
    return random.normal(0, inputs**-0.5, shape).astype(np.float32)
