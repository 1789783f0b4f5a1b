"""How good a model is on each value of a column, as a decade or a source: what holds of all need not hold of each."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from worker import evaluation, tables
from worker.kinds.protocol import Kind, Prepared
from worker.tables import Column

Json = dict[str, Any]

# Of fewer rows a figure says nothing: they are judged together.
FEWEST_ROWS = 5
MOST_VALUES = 50
MISSING = "missing"


def judge(
    kind: Kind,
    prepared: Prepared,
    outputs: np.ndarray,
    columns: dict[str, Column],
    directions: dict[str, str],
    *,
    seed: int,
    check: Callable[[], None],
) -> Json:
    """Of each column (its cells of the whole dataset) the values with their rows and metrics, the worst first.

    The worst is so by the kind's first metric. Values of fewer than 5 rows, and those beyond 50, are `others`.
    """
    assert prepared.validation is not None
    truth, said = evaluation.by_row(prepared, prepared.validation.y), evaluation.by_row(prepared, outputs)
    rows = np.unique(prepared.validation_rows) if prepared.is_pooled else prepared.validation_rows
    units = evaluation.units_of_rows(prepared, len(truth))

    def figures(chosen: np.ndarray) -> Json:
        part = truth[chosen], said[chosen]
        judged = evaluation.with_intervals(kind, prepared.target, *part, units[chosen], seed=seed, check=check)
        return {"rows": len(chosen), "metrics": {name: judged[name] for name in directions if name in judged}}

    return {
        name: _worst_first(
            [{"value": value, **figures(places)} for value, places in _parts(tables.take(column, rows))], directions
        )
        for name, column in columns.items()
    }


def _parts(column: Column) -> list[tuple[str | None, np.ndarray]]:
    """Each value and the places of its rows; None for the others."""
    texts = tables.labels(column)
    codes, counts = np.unique(texts.codes, return_counts=True)
    chosen = codes[np.argsort(-counts, kind="stable")][: min(MOST_VALUES, int((counts >= FEWEST_ROWS).sum()))].tolist()
    parts: list[tuple[str | None, np.ndarray]] = [
        (MISSING if code == tables.MISSING else texts.words[code], np.flatnonzero(texts.codes == code))
        for code in chosen
    ]
    others = np.flatnonzero(~np.isin(texts.codes, chosen))
    return [*parts, (None, others)] if len(others) else parts


def _worst_first(values: Sequence[Json], directions: dict[str, str]) -> list[Json]:
    """By the first metric; the others, whose `value` is null, stand last."""
    metric, direction = next(iter(directions.items()))
    sign = 1 if direction == "higher" else -1

    def badness(each: Json) -> tuple[bool, float]:
        value = each["metrics"].get(metric, {}).get("value")
        return each["value"] is None, np.inf if value is None else sign * value

    return sorted(values, key=badness)
