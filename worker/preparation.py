"""From a table dataset to matrices: roles, checks, features; the same for every kind that learns from tables.

The kind itself reads the target. What makes a training impossible is raised as JobFailed, with its places.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shared import sorts
from shared.errors import FAULTS_SHOWN, Fault, JobFailed
from shared.table_params import TableTraining
from worker import consent_cells, features, learning, tables
from worker.batches import Split
from worker.cautions import Caution
from worker.features import FLOAT32_MAX, Feature
from worker.private import declared
from worker.tables import Column, Texts

Profile = Mapping[str, Any]  # Any: JSON, as the ingest writes it


@dataclass(frozen=True)
class Examples:
    """A table in memory: every column that a training looks at, in file order."""

    columns: dict[str, Column]
    features: list[str]
    targets: list[str]
    group: str | None
    id: str | None
    rows: np.ndarray  # the number of each row in the dataset
    has_duplicates: bool
    cautions: list[Caution] = field(default_factory=list)
    # Of params with folds the one that validates; None: all rows train.
    fold: int | None = None
    # Divide as if nothing said what belongs together, for a comparison.
    at_random: bool = False
    # Rows that were left out because consent to learn from them is refused.
    withheld: int = 0


@dataclass(frozen=True)
class Matrices:
    """The features, and each part of the split as float32 (rows, outputs)."""

    features: tuple[Feature, ...]
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    cautions: list[Caution]


def load(paths: Sequence[Path], profile: Profile, params: TableTraining) -> Examples:
    """Read the columns that matter; rows without a target, or without consent, are left out, with a caution.

    `withheld` of the profile: the keys of rows of which the ledger says so.
    """
    roles, types = profile["roles"], tables.schema(paths)
    of_rights = [roles[role] for role in ("licence", "consent") if roles.get(role)]
    group = params.validation.group if params.validation and params.validation.group else roles["group"]
    _refuse_absent(list(types), roles["target"], group)
    _refuse_unknown(list(types), params)
    kept_out = {*roles["target"], group, roles["id"], *roles["mask"], *roles["drop"], *of_rights}
    named = [name for name in types if name not in kept_out]
    _refuse_mixed(profile, named)
    texts = [name for name, kind in types.items() if pa.types.is_string(kind)]
    # Texts that are no features may tell of leakage; all else counts only in telling repeated rows from like ones.
    needed = {*named, *roles["target"], group, roles["id"], params.time, *of_rights, *texts}
    needed = set(types) if profile["duplicates"] else needed
    columns = tables.read(paths, [name for name in types if name in needed])
    rows = np.arange(tables.count_rows(paths))
    has_duplicates = bool(profile["duplicates"])
    examples = Examples(columns, named, roles["target"], group, roles["id"], rows, has_duplicates)
    return _with_targets(_with_consent(examples, roles.get("consent"), profile.get("withheld", ())))


def _with_consent(examples: Examples, consent: str | None, keys: Collection[str]) -> Examples:
    """Without the rows that may not be learned from. Raises JobFailed (rights_exclude_all)."""
    columns, key = examples.columns, examples.id
    withheld = consent_cells.is_withheld(
        None if key is None else columns[key], None if consent is None else columns[consent], keys, len(examples.rows)
    )
    if not withheld.any():
        return examples
    if withheld.all():
        raise consent_cells.all_withheld()
    kept, count = np.flatnonzero(~withheld), int(withheld.sum())
    return replace(
        examples,
        columns={name: tables.take(column, kept) for name, column in columns.items()},
        rows=examples.rows[kept],
        withheld=count,
        cautions=consent_cells.cautions(count, "rows"),
    )


def _refuse_absent(present: list[str], targets: list[str], group: str | None) -> None:
    absent = [name for name in targets if name not in present]
    if absent or not targets:
        said = f"the table has no column {absent[0]!r}" if absent else "the dataset names no target column"
        raise JobFailed(
            f"There is nothing to learn: {said}. Name an existing column as `target` of the dataset.",
            code="target_missing",
            faults=[Fault("expected a column of this name", column=name) for name in absent],
        )
    if group is not None and group not in present:
        fault = Fault("expected a column of this name", column=group, pointer="/params/validation/group")
        raise JobFailed(f"The table has no column {group!r} to group by.", code="group_missing", faults=[fault])


def _refuse_unknown(present: list[str], params: TableTraining) -> None:
    """Refuse params that name a column which the table lacks, before anything is learned."""
    named = [("/params/validation/time", params.time)] if params.time is not None else []
    named += [(f"/params/report_by/{place}", name) for place, name in enumerate(params.report_by)]
    absent = [(pointer, name) for pointer, name in named if name not in present]
    if absent:
        faults = [Fault("expected a column of this name", column=name, pointer=pointer) for pointer, name in absent]
        said = f"The table has no column {listed(name for _, name in absent)}: name one of {listed(present)}."
        raise JobFailed(said, code="column_missing", faults=faults)


def _refuse_mixed(profile: Profile, named: list[str]) -> None:
    mixed = {each["name"]: each["mixed"] for each in profile["columns"] if each.get("mixed") and each["name"] in named}
    if not mixed:
        return
    raise JobFailed(
        f"Text stands among the numbers of {listed(mixed)}. Put numbers in these cells, or leave them empty, or name "
        "the column in `drop` of the dataset.",
        code="column_mixed",
        faults=[
            Fault("expected a number, received text", row=row, column=name)
            for name, said in mixed.items()
            for row in said["rows"]
        ],
        faults_total=sum(said["count"] for said in mixed.values()),
    )


def _with_targets(examples: Examples) -> Examples:
    absent = np.any([tables.is_missing(examples.columns[name]) for name in examples.targets], axis=0)
    if not absent.any():
        return examples
    kept = np.flatnonzero(~absent)
    return replace(
        examples,
        columns={name: tables.take(column, kept) for name, column in examples.columns.items()},
        rows=examples.rows[kept],
        cautions=[
            *examples.cautions,
            Caution("target_missing_rows", f"{int(absent.sum())} rows without a target are left out"),
        ],
    )


def tabulate(examples: Examples, split: Split, params: TableTraining) -> Matrices:
    """Learn the features on the training rows, then make the matrix of each part."""
    columns = {name: examples.columns[name] for name in examples.features}
    numbers = {name: column for name, column in columns.items() if not isinstance(column, Texts)}
    refuse_cells(numbers, examples.rows, is_beyond, code="non_finite", expected="a finite number that fits 32 bits")
    taught = {name: tables.take(column, split.train) for name, column in columns.items()}
    if params.preprocessing is None:
        _refuse_words(columns, examples.rows)
        refuse_cells(columns, examples.rows, tables.is_missing, code="cells_missing", expected="a number in every cell")
        learned, cautions = learning.untouched(columns), list[Caution]()
    elif params.privacy is not None:
        learned, cautions = declared.features(columns, params.privacy), list[Caution]()
    else:
        learned, cautions = learning.learn(taught, params.preprocessing)
    if not learned:
        raise JobFailed("No column is left to learn from: " + _reasons(cautions), code="no_features")
    train, validation, test = (
        features.matrix(learned, {name: tables.take(column, places) for name, column in columns.items()})[0]
        for places in (split.train, split.validation, split.test)
    )
    return Matrices(learned, train, validation, test, cautions)


def refuse_cells(
    columns: Mapping[str, Column],
    rows: np.ndarray,
    is_wrong: Callable[[Any], np.ndarray],  # Any: a Column of the sort that the caller chose
    *,
    code: str,
    expected: str,
) -> None:
    """Raise JobFailed with the places of all cells that are wrong."""
    wrong = {name: np.flatnonzero(is_wrong(column)) for name, column in columns.items()}
    total = sum(map(len, wrong.values()))
    if total == 0:
        return
    faults = [
        Fault(f"expected {expected}", row=int(rows[place]), column=name)
        for name, places in wrong.items()
        for place in places[:FAULTS_SHOWN].tolist()
    ]
    named = listed(name for name, places in wrong.items() if len(places))
    said = f"{total} cells of {named} cannot be learned from: expected {expected}."
    raise JobFailed(said, code=code, faults=faults, faults_total=total)


def is_beyond(column: np.ndarray) -> np.ndarray:
    """True where a number is infinite or too large for float32."""
    return np.abs(column) > FLOAT32_MAX


def _refuse_words(columns: Mapping[str, Column], rows: np.ndarray) -> None:
    words = {name: column for name, column in columns.items() if isinstance(column, Texts) and not column.boolean}
    if not words:
        return
    raise JobFailed(
        f"Without preprocessing every feature must be numeric, and {listed(words)} is text. Name it in `drop` of the "
        "dataset, or train with `preprocess: auto`.",
        code="cells_not_numeric",
        faults=[
            Fault(f"expected a number, received {sorts.of(each.words[0])}", row=int(rows[_first(each)]), column=name)
            for name, each in words.items()
            if each.words
        ],
    )


def _first(column: Texts) -> int:
    return int(np.argmax(column.codes == 0))


def _reasons(cautions: Sequence[Caution]) -> str:
    return "; ".join(caution.detail for caution in cautions) or "the table has none beside its roles"


def listed(names: Iterable[str]) -> str:
    """Names as they stand in a sentence: at most ten, quoted."""
    every = list(names)
    return ", ".join(map(repr, every[:10])) + (f" and {len(every) - 10} more" if len(every) > 10 else "")
