"""What is looked at before a training on plays is queued: how much memory its models take, and about how long."""

from typing import Any

from sqlalchemy import Row

from shared.kinds.recommendation import TrainParams
from shared.networks import FLOAT_BYTES, Size

Json = dict[str, Any]

# Of a matrix of items: the sums and their inverse in double precision, and the result.
MATRICES_BYTES = 8 + 8 + FLOAT_BYTES
# Of a neighbour: its place and its nearness, twice while they are gathered.
NEIGHBOUR_BYTES = 2 * (4 + FLOAT_BYTES)
MOST_NEIGHBOURS, MOST_FACTORS = 400, 128
# Of the cube of the items that a matrix is of, by one core; and of a play, through every candidate.
CUBES_PER_S, PLAY_S = 2e10, 2e-4
CANDIDATES = 12


def size(params: TrainParams, rows: list[Row[Any]]) -> tuple[Size, str]:
    """Of the largest model that is tried, and the pointer to what makes it so large."""
    items = int(_said(rows).get("items", 0))
    learned = min(items, params.ease.items_at_most) if _tries(params, rows, "ease") else 0
    width = params.network.embedding if _tries(params, rows, "two_tower", "autoencoder") else 0
    near = (params.neighbours.neighbours or MOST_NEIGHBOURS) if _tries(params, rows, "neighbours") else 0
    factors = (params.als.factors or MOST_FACTORS) if _tries(params, rows, "als") else 0
    needed = {
        "/params/ease/items_at_most": (learned**2, learned**2 * MATRICES_BYTES),
        # With their gradients, two slots of the optimizer, and the best so far.
        "/params/network/embedding": (2 * items * width, 2 * items * width * FLOAT_BYTES * 5),
        "/params/neighbours/neighbours": (items * min(items, near), items * min(items, near) * NEIGHBOUR_BYTES),
        # Found, read, and two more of each while a side is solved.
        "/params/als/factors": (items * factors, 4 * items * factors * FLOAT_BYTES),
    }
    pointer = max(needed, key=lambda each: needed[each][1])
    numbers, memory_bytes = needed[pointer]
    return Size(numbers, memory_bytes, numbers), pointer


def expected_s(params: TrainParams, rows: list[Row[Any]]) -> float:
    """Seconds for all candidates."""
    said = _said(rows)
    learned = min(int(said.get("items", 0)), params.ease.items_at_most) if _tries(params, rows, "ease") else 0
    return CANDIDATES * (learned**3 / CUBES_PER_S + PLAY_S * float(said.get("pairs", 0)))


def _said(rows: list[Row[Any]]) -> Json:
    said: Json = rows[0].profile.get("interactions", {})
    return said


def _tries(params: TrainParams, rows: list[Row[Any]], *methods: str) -> bool:
    """Whether one of these is among what is tried."""
    if params.named is not None:
        return any(method in params.named for method in methods)
    if not {"two_tower", "autoencoder"} & set(methods):
        return True
    said = _said(rows)
    return params.affords_networks(users=int(said.get("users", 0)), items=int(said.get("items", 0)))
