"""Divide examples into training and validation rows, and say what may make the result look better than it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.errors import JobFailed
from shared.table_params import TableTraining, Validation
from worker import batches, leakage, tables
from worker.batches import Split
from worker.cautions import Caution
from worker.preparation import Examples, Matrices
from worker.tables import Texts

CODE = "leakage_suspected"
ADVICE = "name a `group` column so that what belongs together stays on one side"


@dataclass(frozen=True)
class Division:
    """The split, and what was done and noticed on the way."""

    split: Split
    by: str
    duplicates_dropped: int
    cautions: list[Caution]
    # The group of each validation row; None without groups.
    validation_groups: np.ndarray | None

    def as_json(self) -> dict[str, Any]:
        """What a model version says of its split."""
        sizes = {"train": len(self.split.train), "validation": len(self.split.validation)}
        return {"by": self.by, **sizes, "duplicates_dropped": self.duplicates_dropped}


def divide(examples: Examples, params: TableTraining, strata: np.ndarray) -> Division:
    """Split as the params say, strata keeping their shares; repeats of a training row are dropped from training."""
    by, split = _split(examples, params, strata)
    cautions = [*_names_shared(examples, split), *_groups_shared(examples, split)]
    dropped = 0
    if examples.has_duplicates and len(split.train):
        prints = tables.fingerprints([column for name, column in examples.columns.items() if name != examples.id])
        cautions += _rows_shared(prints, split)
        if params.preprocessing is not None and params.preprocessing.drop_duplicates:
            kept = split.train[np.sort(np.unique(prints[split.train], return_index=True)[1])]
            dropped = len(split.train) - len(kept)
            split = Split(kept, split.validation)
    if dropped:
        cautions.append(
            Caution("duplicates_dropped", f"Left out of training, as rows that equal an earlier one: {dropped:,}.")
        )
    _refuse_few(split, wanted=params.validation_split != 0.0)
    groups = None if examples.group is None else _groups(examples)[split.validation]
    return Division(split, by, dropped, cautions, groups)


def _split(examples: Examples, params: TableTraining, strata: np.ndarray) -> tuple[str, Split]:
    if params.validation_split is not None:
        return "last_rows", batches.last_rows(len(strata), params.validation_split)
    fraction = (params.validation or Validation()).fraction
    if examples.group is None:
        return "shuffle", batches.shuffled(strata, fraction, seed=params.seed)
    return "group", batches.grouped(_groups(examples), fraction, seed=params.seed, strata=strata)


def _groups(examples: Examples) -> np.ndarray:
    """A code a row; a row without a group is one of its own."""
    assert examples.group is not None
    codes = tables.labels(examples.columns[examples.group]).codes.astype(np.int64)
    alone = codes == tables.MISSING
    codes[alone] = np.max(codes) + 1 + np.arange(np.count_nonzero(alone))
    return codes


def _refuse_few(split: Split, *, wanted: bool) -> None:
    if len(split.train) >= 2 and (len(split.validation) or not wanted):
        return
    raise JobFailed(
        f"Too few rows or groups: {len(split.train)} different rows would train and {len(split.validation)} would "
        "validate, expected at least 2 and 1. Add rows, or choose another validation.",
        code="too_few_rows",
    )


def _names_shared(examples: Examples, split: Split) -> list[Caution]:
    if examples.group is not None or len(split.validation) == 0:
        return []
    looked_at = {name: column for name, column in examples.columns.items() if name not in examples.targets}
    said = [leakage.shared_names(name, each) for name, each in looked_at.items() if isinstance(each, Texts)]
    return [Caution(CODE, f"{found}: {ADVICE}") for found in said if found]


def _groups_shared(examples: Examples, split: Split) -> list[Caution]:
    if examples.group is None:
        return []
    groups = _groups(examples)
    both = np.intersect1d(groups[split.train], groups[split.validation])
    if len(both) == 0:
        return []
    said = f"{len(both)} groups of {examples.group!r} have rows on both sides: use `validation` for `validation_split`"
    return [Caution(CODE, said)]


def _rows_shared(prints: np.ndarray, split: Split) -> list[Caution]:
    both = int(np.isin(prints[split.validation], prints[split.train]).sum())
    return [Caution(CODE, f"{both} validation rows equal a training row")] if both else []


def near_rows(examples: Examples, matrices: Matrices) -> list[Caution]:
    """A caution when rows that are nearly equal lie on both sides of a split without groups."""
    if examples.group is not None:
        return []
    share = leakage.near_share(matrices.train, matrices.validation)
    if share < leakage.NEAR_SHARE:
        return []
    return [Caution(CODE, f"{share:.0%} of the validation rows are nearly equal to a training row: {ADVICE}")]
