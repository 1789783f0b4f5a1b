"""Learn from the training rows how a table becomes a matrix; what is learned is in worker/features.py."""

from typing import Literal

import numpy as np

from shared.table_params import Preprocessing
from worker.cautions import Caution
from worker.features import Category, Feature, Number
from worker.tables import MISSING, Column, Table, Texts

# A missing cell says something of its own only where it is no rarity.
INDICATOR_SHARE = 0.01
# A column with more words than this share of its rows names its rows rather than describes them.
DISTINCT_SHARE = 0.5
# A word met once teaches nothing that holds for another row.
WORD_ROWS = 2
FENCE_QUANTILES = (0.01, 0.99)


def untouched(columns: Table) -> tuple[Feature, ...]:
    """The features of `preprocess: none`: every column as it is, in file order."""
    return tuple(Number(name=name) for name in columns)


def learn(columns: Table, settings: Preprocessing) -> tuple[tuple[Feature, ...], list[Caution]]:
    """Learn one feature a column from the training rows; columns that cannot help are left out, with a caution."""
    features: list[Feature] = []
    cautions: list[Caution] = []
    for name, column in columns.items():
        reason = _useless(column)
        if reason is None:
            features.append(_feature(name, column, settings))
        else:
            cautions.append(Caution("column_left_out", f"column {name!r} is left out: {reason}"))
    return tuple(features), cautions


def _useless(column: Column) -> str | None:
    """Why the column can teach nothing, or None."""
    if isinstance(column, Texts):
        return _useless_words(column)
    present = column[~np.isnan(column)]
    if len(present) == 0:
        return "it is empty in every training row"
    if present.min() == present.max() and len(column) - len(present) <= INDICATOR_SHARE * len(column):
        return "it is the same in every training row"
    return None


def _useless_words(column: Texts) -> str | None:
    counts = np.bincount(column.codes[column.codes != MISSING], minlength=len(column.words))
    distinct, present = np.count_nonzero(counts), int(counts.sum())
    if present == 0:
        return "it is empty in every training row"
    if distinct == 1 and present >= (1 - INDICATOR_SHARE) * len(column.codes):
        return "it is the same in every training row"
    if distinct > max(2, DISTINCT_SHARE * present):
        return f"its {distinct} different texts in {present} rows tell the rows apart and nothing else"
    return None


def _feature(name: str, column: Column, settings: Preprocessing) -> Feature:
    if isinstance(column, Texts):
        return _category(name, column, most=settings.categories)
    return _number(name, column, settings)


def _category(name: str, column: Texts, *, most: int) -> Category:
    """The most frequent words, first by rows and then by spelling."""
    counts = np.bincount(column.codes[column.codes != MISSING], minlength=len(column.words))
    ranked = sorted(range(len(column.words)), key=lambda code: (-counts[code], column.words[code]))
    kept = [code for code in ranked if counts[code] >= WORD_ROWS][:most]
    words = tuple(sorted(column.words[code] for code in kept))
    return Category(name=name, words=words, rest=int(counts[kept].sum()) < len(column.codes), boolean=column.boolean)


def _number(name: str, column: np.ndarray, settings: Preprocessing) -> Number:
    missing = np.isnan(column)
    present = column[~missing]
    fill = _fill(present, settings.missing)
    low, high = fences(present) if settings.outliers == "clip" else (None, None)
    clipped = np.clip(np.where(missing, fill, column), low, high)
    mean, scale = (clipped.mean(), clipped.std() or 1.0) if settings.scale == "standard" else (0.0, 1.0)
    return Number(
        name=name,
        fill=fill,
        low=low,
        high=high,
        mean=float(mean),
        scale=float(scale),
        indicator=bool(missing.mean() > INDICATOR_SHARE),
    )


def _fill(present: np.ndarray, how: Literal["median", "mean", "zero"]) -> float:
    if how == "zero":
        return 0.0
    return float(np.median(present) if how == "median" else np.mean(present))


def fences(present: np.ndarray) -> tuple[float, float]:
    """The 1st and 99th percentile, each moved outwards by the distance between them.

    Percentiles are inner observations, so that one wild value in a small table cannot place its own fence. Where
    they are equal (a rare flag), the fences are the extremes: clipping would erase the column.
    """
    inner = float(np.quantile(present, FENCE_QUANTILES[0], method="higher"))
    outer = float(np.quantile(present, FENCE_QUANTILES[1], method="lower"))
    if outer <= inner:
        return float(present.min()), float(present.max())
    return 2 * inner - outer, 2 * outer - inner
