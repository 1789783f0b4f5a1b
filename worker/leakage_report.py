"""What was looked for on both sides of a split, and what was found: told with every model version.

The sides are what trains, and what validates or tests. Each finding is a suspicion, never a proof.
"""

from typing import Any

import numpy as np

from worker import leakage, tables
from worker.batches import Split
from worker.cautions import Caution
from worker.preparation import Examples, Matrices

Json = dict[str, Any]

CODE = "leakage_suspected"
APART = "name a `group` column so that what belongs together stays on one side"
TOGETHER = "give these rows one group, or leave the copies out"


def look(examples: Examples, split: Split, matrices: Matrices, *, told: list[Caution]) -> tuple[Json, list[Caution]]:
    """The report of a table, and a caution when rows that are nearly equal lie on both sides.

    `told` is what the division has warned of already.
    """
    held_out = np.concatenate([split.validation, split.test])
    if len(held_out) == 0:
        return {"suspected": False, "checked": [], "found": {}}, []
    equal = _equal(examples, split.train, held_out)
    found: Json = {"equal_rows": equal, "warnings": [caution.detail for caution in told if caution.code == CODE]}
    for what, name in (("ids", examples.id), ("groups", examples.group)):
        if name is not None:
            found[what] = _shared(tables.labels(examples.columns[name]).codes, split.train, held_out)
    near = leakage.near(matrices.train, np.concatenate([matrices.validation, matrices.test]))
    cautions = []
    if near is not None:
        pairs = [[int(examples.rows[split.train[ours]]), int(examples.rows[held_out[its]])] for its, ours in near.pairs]
        found["near_rows"] = {"share": near.share, "pairs": pairs}
        if near.share >= leakage.NEAR_SHARE:
            advice = APART if examples.group is None else TOGETHER
            said = f"{near.share:.0%} of the held-out rows are nearly equal to a training row: {advice}"
            cautions.append(Caution(CODE, said))
    # Where columns have few values rows are equal by chance.
    is_copied = equal > 0 and near is not None
    is_suspected = bool(cautions) or is_copied or any(found.get(what) for what in ("warnings", "ids", "groups"))
    return {"suspected": is_suspected, "checked": sorted(set(found) - {"warnings"}), "found": found}, cautions


def _equal(examples: Examples, train: np.ndarray, held_out: np.ndarray) -> int:
    """How many held-out rows equal a training row in every feature and target."""
    prints = tables.fingerprints([examples.columns[name] for name in (*examples.features, *examples.targets)])
    return int(np.isin(prints[held_out], prints[train]).sum())


def _shared(codes: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> int:
    """How many names have rows on both sides."""
    return int((np.intersect1d(codes[train], codes[held_out]) != tables.MISSING).sum())
