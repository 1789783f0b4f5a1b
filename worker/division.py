"""Divide examples into training and validation rows, and say what may make the result look better than it is."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shared.errors import JobFailed
from shared.table_params import TableTraining, Validation
from worker import batches, leakage, moments, tables
from worker.batches import Split
from worker.cautions import Caution
from worker.preparation import Examples
from worker.tables import Texts

CODE = "leakage_suspected"
FEW = "too_few_rows"
ADVICE = "name a `group` column so that what belongs together stays on one side"


@dataclass(frozen=True)
class Division:
    """The split, and what was done and noticed on the way."""

    split: Split
    by: str
    duplicates_dropped: int
    cautions: list[Caution]
    # The group of each row of a part; None without groups.
    validation_groups: np.ndarray | None
    test_groups: np.ndarray | None
    train_groups: np.ndarray | None
    test: dict[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """What a model version says of its split."""
        sizes = {"train": len(self.split.train), "validation": len(self.split.validation)}
        said = {"by": self.by, **sizes, "duplicates_dropped": self.duplicates_dropped}
        return said if self.test is None else {**said, "test": self.test}


def divide(examples: Examples, params: TableTraining, strata: np.ndarray) -> Division:
    """Split as the params say, strata keeping their shares; repeats of a training row are dropped from training."""
    tested_by, test = _test(examples, params, strata)
    rest = np.setdiff1d(np.arange(len(strata)), test)
    by, split = _split(examples, params, strata, rest)
    split = Split(rest[split.train], rest[split.validation], test)
    cautions = [*_names_shared(examples, split), *_groups_shared(examples, split)]
    dropped = 0
    if examples.has_duplicates and len(split.train):
        prints = tables.fingerprints([column for name, column in examples.columns.items() if name != examples.id])
        cautions += _rows_shared(prints, split)
        if params.preprocessing is not None and params.preprocessing.drop_duplicates:
            kept = split.train[np.sort(np.unique(prints[split.train], return_index=True)[1])]
            dropped = len(split.train) - len(kept)
            split = replace(split, train=kept)
    if dropped:
        cautions.append(
            Caution("duplicates_dropped", f"Left out of training, as rows that equal an earlier one: {dropped:,}.")
        )
    is_validated = params.validation_split != 0.0 and (params.folds is None or examples.fold is not None)
    _refuse_few(examples, split, is_validated=is_validated, is_tested=params.held_out_test is not None)
    groups = None if examples.group is None else _groups(examples)
    return Division(
        split,
        by,
        dropped,
        cautions,
        validation_groups=None if groups is None else groups[split.validation],
        test_groups=None if groups is None else groups[split.test],
        train_groups=None if groups is None else groups[split.train],
        test=_describe_test(params, tested_by, split),
    )


def _test(examples: Examples, params: TableTraining, strata: np.ndarray) -> tuple[str, np.ndarray]:
    """How the test is drawn, and its rows; they depend on the data and on what is asked of the test alone."""
    wanted = params.held_out_test
    if wanted is None:
        return "", np.empty(0, np.int64)
    if params.time is not None:
        return "time", batches.latest(_moments(examples, params.time), _units(examples), wanted.fraction).validation
    # Which class is called the first is for other params to say.
    strata = batches.first_seen(strata)
    if examples.group is None:
        return "shuffle", batches.shuffled(strata, wanted.fraction, seed=wanted.seed).validation
    return "group", batches.grouped(_groups(examples), wanted.fraction, seed=wanted.seed, strata=strata).validation


def _describe_test(params: TableTraining, by: str, split: Split) -> dict[str, Any] | None:
    wanted = params.held_out_test
    if wanted is None:
        return None
    return {"by": by, "rows": len(split.test), "fraction": wanted.fraction, "seed": wanted.seed}


def _split(examples: Examples, params: TableTraining, strata: np.ndarray, rest: np.ndarray) -> tuple[str, Split]:
    """Divide the rows that are no test; the places are those within `rest`."""
    strata, wanted = strata[rest], params.validation or Validation()
    if params.validation_split is not None:
        return "last_rows", batches.last_rows(len(strata), params.validation_split)
    if examples.at_random:
        fraction = 1 / wanted.folds if wanted.folds else wanted.fraction
        return "shuffle", batches.shuffled(strata, fraction, seed=params.seed)
    if wanted.folds is not None:
        return "folds", _fold(examples, wanted.folds, strata, rest, seed=params.seed)
    if wanted.time is not None:
        moments = _moments(examples, wanted.time)[rest]
        return "time", batches.latest(moments, _units(examples)[rest], wanted.fraction)
    if examples.group is None:
        return "shuffle", batches.shuffled(strata, wanted.fraction, seed=params.seed)
    return "group", batches.grouped(_groups(examples)[rest], wanted.fraction, seed=params.seed, strata=strata)


def _fold(examples: Examples, k: int, strata: np.ndarray, rest: np.ndarray, *, seed: int) -> Split:
    """The fold that validates, or all rows to train. Raises JobFailed (too_few_rows) where a fold would be empty."""
    units = _units(examples)[rest]
    count, named = len(np.unique(units)), "rows" if examples.group is None else f"groups of {examples.group!r}"
    if count < k:
        said = f"{k} folds need as many {named}, and there are {count}: ask for fewer folds, or add rows."
        raise JobFailed(said, code=FEW)
    if examples.fold is None:
        return Split(np.arange(len(rest)), np.empty(0, np.int64))
    return batches.folds(units, k, seed=seed, strata=strata)[examples.fold]


def _moments(examples: Examples, name: str) -> np.ndarray:
    return moments.read(name, examples.columns[name], examples.rows)


def _units(examples: Examples) -> np.ndarray:
    """What stays together: groups, or each row by itself."""
    return np.arange(len(examples.rows)) if examples.group is None else _groups(examples)


def _groups(examples: Examples) -> np.ndarray:
    """A code a row; a row without a group is one of its own."""
    assert examples.group is not None
    codes = tables.labels(examples.columns[examples.group]).codes.astype(np.int64)
    alone = codes == tables.MISSING
    codes[alone] = np.max(codes) + 1 + np.arange(np.count_nonzero(alone))
    return codes


def _refuse_few(examples: Examples, split: Split, *, is_validated: bool, is_tested: bool) -> None:
    is_enough = len(split.train) >= 2 and (len(split.validation) or not is_validated)
    if is_enough and (len(split.test) or not is_tested):
        return
    if examples.group is not None and len(np.unique(_groups(examples))) == 1:
        said = f"All rows are one group of {examples.group!r}, and a group is never torn: name another column as "
        raise JobFailed(said + "`validation.group`, or hold out the last rows with `validation_split`.", code=FEW)
    tested = f" and {len(split.test)} would test" if is_tested else ""
    raise JobFailed(
        f"Too few rows or groups: {len(split.train)} different rows would train and {len(split.validation)} would "
        f"validate{tested}, expected at least 2 and 1{' and 1' if is_tested else ''}. Add rows, or choose another "
        "validation or test.",
        code=FEW,
    )


def _names_shared(examples: Examples, split: Split) -> list[Caution]:
    if examples.group is not None or len(split.validation) == 0:
        return []
    looked_at = {name: column for name, column in examples.columns.items() if name not in examples.targets}
    said = [leakage.shared_names(name, each) for name, each in looked_at.items() if isinstance(each, Texts)]
    return [Caution(CODE, f"{found}: {ADVICE}") for found in said if found]


def _groups_shared(examples: Examples, split: Split) -> list[Caution]:
    if examples.group is None or examples.at_random:
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
