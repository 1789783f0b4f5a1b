"""What the trials of a search have alike: they differ in their networks, and the matrices of a table are made once.

They are kept for one search, in the process that tries it, and are gone with the next job that is none of its trials.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sqlalchemy import Row

from shared.claims import Claim

# Of what is kept at a time; a table that has more is prepared anew for each trial.
MOST_BYTES = 256 * 1024 * 1024
# What says how is learned and judged, and nothing of the matrices. All else is taken to matter.
OF_THE_NETWORK = {
    "optimizer", "learning_rate", "momentum", "nesterov", "weight_decay", "clip_norm", "batch_size", "epochs",
    "early_stopping", "hidden", "report_by", "compare_random_split", "baselines", "importance", "keep_examples",
}  # fmt: skip

Key = tuple[str, ...]
# Those of worker/kinds/protocol.py and worker/training.py, which load TensorFlow; every job of any worker passes here.
Prepared = Any
Table = Any

_of_search: str | None = None
_kept: dict[Key, Prepared] = {}


def begin(claim: Claim) -> None:
    """Say which job this process does next: what is not of its search is forgotten."""
    global _of_search
    search = claim.parent or claim.job_id
    if search != _of_search:
        _kept.clear()
        _of_search = search


def prepare(claim: Claim, dataset: Row[Any], params: Any, make: Callable[[], Prepared]) -> Prepared:
    """What `make` makes of a dataset by these params, or has made for an earlier trial of the same search."""
    key = (dataset.id, dataset.sha256, claim.kind or "", params.model_dump_json(exclude=OF_THE_NETWORK))
    found = _kept.get(key)
    if found is not None:
        return found
    prepared = make()
    # Only trials meet others like them.
    if claim.parent is not None and _size_bytes(prepared) <= MOST_BYTES:
        _kept.clear()
        _kept[key] = _frozen(prepared)
    return prepared


def _tables(prepared: Prepared) -> list[Table]:
    return [part for part in (prepared.train, prepared.validation, prepared.test) if part is not None]


def _arrays(prepared: Prepared) -> list[np.ndarray]:
    return [each for part in _tables(prepared) for each in (part.x, part.y, part.weight) if each is not None]


def _size_bytes(prepared: Prepared) -> int:
    return sum(array.nbytes for array in _arrays(prepared))


def _frozen(prepared: Prepared) -> Prepared:
    """The same, so that no trial can change what the next one learns from."""
    for array in _arrays(prepared):
        array.flags.writeable = False
    return prepared
