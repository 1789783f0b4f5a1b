"""Regression examples: numbers to be met, learned in standard units when preprocessing is on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shared.errors import Fault, JobFailed
from shared.kinds.regression import TrainParams
from shared.schema import Closed
from worker import division, leakage_report, preparation
from worker.features import numbers
from worker.kinds.protocol import Prepared
from worker.preparation import Examples, Profile
from worker.tables import Column
from worker.training import Table


class Target(Closed):
    """The units that the network answers in: a target is output * scale + mean; stored with the model.

    With preprocessing on they are standard units of the training rows, and so is the loss in the history of a
    training; metrics and predictions are in the client's own units.
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    # Standard deviations of the training rows; none in a version from before they were kept.
    spread: tuple[float, ...] = ()

    @property
    def deviations(self) -> tuple[float, ...]:
        """What counts as a large difference of each target."""
        return self.spread or self.scale

    def restore(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs in the client's units, float64."""
        return outputs * np.array(self.scale) + np.array(self.mean)


def load(paths: Sequence[Path], profile: Profile, params: TrainParams) -> Examples:
    """Read the table, without the rows that have no target."""
    return preparation.load(paths, profile, params)


def prepare(examples: Examples, params: TrainParams) -> Prepared:
    """Split, learn the preprocessing, bring the target to standard units."""
    y = _read(examples)
    divided = division.divide(examples, params, np.zeros(len(y), np.int64))
    matrices = preparation.tabulate(examples, divided.split, params)
    leaks, near = leakage_report.look(examples, divided.split, matrices, told=divided.cautions)
    train, validation, test = divided.split.train, divided.split.validation, divided.split.test
    target = (
        _units(examples.targets, y[train], is_standard=params.preprocessing is not None)
        if params.privacy is None
        else _declared(examples.targets, params)
    )
    standard = ((y - np.array(target.mean)) / np.array(target.scale)).astype(np.float32)
    return Prepared(
        train=Table(matrices.train, standard[train], None),
        validation=Table(matrices.validation, standard[validation], None) if len(validation) else None,
        features=matrices.features,
        target=target.model_dump(mode="json"),
        task="numbers",
        split=divided.as_json(),
        train_rows=examples.rows[train],
        validation_rows=examples.rows[validation],
        validation_groups=divided.validation_groups,
        test=Table(matrices.test, standard[test], None) if len(test) else None,
        test_rows=examples.rows[test],
        test_groups=divided.test_groups,
        train_groups=divided.train_groups,
        leakage=leaks,
        cautions=[
            *examples.cautions,
            *divided.cautions,
            *matrices.cautions,
            *near,
        ],
    )


def _read(examples: Examples) -> np.ndarray:
    """The targets as float64 (rows, targets). Raises JobFailed when one is no number, or always the same."""
    columns = {name: examples.columns[name] for name in examples.targets}
    expected = "a number; for words use kind `classification`"
    preparation.refuse_cells(columns, examples.rows, _is_word, code="target_not_numeric", expected=expected)
    values = {name: numbers(column)[0] for name, column in columns.items()}
    expected = "a finite number that fits 32 bits"
    preparation.refuse_cells(values, examples.rows, preparation.is_beyond, code="non_finite", expected=expected)
    constant = [name for name, column in values.items() if len(column) == 0 or column.min() == column.max()]
    if constant:
        raise JobFailed(
            f"The target {constant[0]!r} is the same in every row: there is nothing to learn.",
            code="target_constant",
            faults=[Fault("expected different numbers", column=name) for name in constant],
        )
    return np.stack(list(values.values()), axis=1)


def _is_word(column: Column) -> np.ndarray:
    unreadable = numbers(column)[1]
    return np.zeros(1, bool) if unreadable is None else unreadable


def _declared(names: list[str], params: TrainParams) -> Target:
    """The units of a private training: the middle and half the width of the bounds; none of the numbers is asked."""
    assert params.privacy is not None
    bounds = [params.privacy.bounds.get(name, [-1.0, 1.0]) for name in names]
    mean, scale = ([(high + low) / 2 for low, high in bounds], [(high - low) / 2 for low, high in bounds])
    return Target(columns=tuple(names), mean=tuple(mean), scale=tuple(scale), spread=tuple(scale))


def _units(names: list[str], y: np.ndarray, *, is_standard: bool) -> Target:
    mean, spread = y.mean(axis=0), y.std(axis=0)
    scale = spread = np.where(spread > 0, spread, 1.0)
    if not is_standard:
        mean, scale = np.zeros_like(mean), np.ones_like(scale)
    return Target(
        columns=tuple(names), mean=tuple(mean.tolist()), scale=tuple(scale.tolist()), spread=tuple(spread.tolist())
    )
