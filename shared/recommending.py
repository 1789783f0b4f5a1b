"""What is looked at before a training on plays is queued: how much memory its models take, and about how long."""

from typing import Any

from sqlalchemy import Row

from shared.kinds.recommendation import TrainParams
from shared.networks import FLOAT_BYTES, Size

# Of a matrix of items: the sums and their inverse in double precision, and the result.
MATRICES_BYTES = 8 + 8 + FLOAT_BYTES
# Of the cube of the items that a matrix is of, by one core; and of a play, through every candidate.
CUBES_PER_S, PLAY_S = 2e10, 2e-4
CANDIDATES = 12


def size(params: TrainParams, rows: list[Row[Any]]) -> Size:
    """Of the largest model that is tried."""
    items = int(rows[0].profile.get("interactions", {}).get("items", 0))
    learned = min(items, params.ease.items_at_most) if _tries(params, "ease") else 0
    width = params.network.embedding if _tries(params, "two_tower", "autoencoder") else 0
    numbers = max(learned**2, items * (params.als.factors or 128) if _tries(params, "als") else 0, 2 * items * width)
    # With their gradients, two slots of the optimizer, and the best so far.
    network_bytes = 2 * items * width * FLOAT_BYTES * 5
    return Size(numbers, max(learned**2 * MATRICES_BYTES, network_bytes), numbers)


def expected_s(params: TrainParams, rows: list[Row[Any]]) -> float:
    """Seconds for all candidates."""
    said = rows[0].profile.get("interactions", {})
    learned = min(int(said.get("items", 0)), params.ease.items_at_most) if _tries(params, "ease") else 0
    return CANDIDATES * (learned**3 / CUBES_PER_S + PLAY_S * float(said.get("pairs", 0)))


def _tries(params: TrainParams, *methods: str) -> bool:
    named = [params.model] if params.model != "auto" else params.candidates
    return named is None or any(method in named for method in methods)
