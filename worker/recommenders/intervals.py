"""How sure a mean over users is, and whether one model's is really higher than another's.

Percentile bootstrap: Efron and Tibshirani 1993, chapter 13. Sign-flip permutation test: Smucker, Allan and Carterette
2007, "A Comparison of Statistical Significance Tests for Information Retrieval Evaluation".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

RESAMPLES = 1000
FLIPS = 10_000
BOUNDS = 2.5, 97.5  # percentiles that hold 95 % between them
# Numbers that are drawn at once: 32 MiB of them.
AT_ONCE = 1 << 22
# Signs of eight users are one byte, and its 256 sums are looked up; so many bytes' tables (128 KiB) stay in the cache.
SIGNS, TABLES = 8, 64
# Sums that only rounding tells apart are the same sum.
ROUNDING = 1e-12

Json = dict[str, Any]  # Any: JSON


def mean(values: np.ndarray, seed: int) -> Json:
    """The mean over users, its 95 % bootstrap interval, and how many users it is of; NaN are left out.

    {"value", "interval": [low, high], "users"}: no value without users, and no interval of fewer than two.
    """
    return means({"": values}, seed)[""]


def means(metrics: Mapping[str, np.ndarray], seed: int) -> dict[str, Json]:
    """The mean of each metric of one `per_user`, from the same resamples: hardly slower than one metric alone.

    ValueError where the metrics are not of the same users.
    """
    if not metrics:
        return {}
    table = np.column_stack([np.asarray(values, np.float64) for values in metrics.values()])
    missing = np.isnan(table)
    if (missing.any(axis=1) != missing.all(axis=1)).any():
        raise ValueError("metrics: expected the same users to have a value in each")
    table = table[~missing.any(axis=1)]
    users = len(table)
    if users == 0:
        return {name: {"value": None, "interval": None, "users": 0} for name in metrics}
    values = table.mean(axis=0).tolist()
    # The one user could be drawn only over and over, and a width of nothing would be read as certainty.
    spans = np.percentile(_resampled(table, seed), BOUNDS, axis=0).T.tolist() if users > 1 else [None] * len(values)
    return {
        name: {"value": value, "interval": span, "users": users}
        for name, value, span in zip(metrics, values, spans, strict=True)
    }


def _resampled(table: np.ndarray, seed: int) -> np.ndarray:
    """Means of columns (users, columns) over users drawn with replacement, (RESAMPLES, columns)."""
    random = np.random.Generator(np.random.PCG64(seed))
    users = len(table)
    rows = max(1, AT_ONCE // users)
    made = []
    for first in range(0, RESAMPLES, rows):
        drawn = random.integers(users, size=(min(rows, RESAMPLES - first), users))
        times = np.array([np.bincount(row, minlength=users) for row in drawn], np.float64)
        made.append(times @ table / users)
    return np.concatenate(made)


def paired(ours: np.ndarray, theirs: np.ndarray, seed: int) -> Json:
    """Our mean less theirs over the users whom both have a value for, its 95 % interval, and how likely by chance.

    {"difference", "interval": [low, high], "p", "users"}. `p` is two-sided: how often the mean lies at least as far
    from 0 when each user's sign is tossed; 10,000 times, or exactly where so few signs can fall in all their ways.
    """
    differences = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    differences = differences[~np.isnan(differences)]
    told = mean(differences, seed)
    chance = _chance(differences, seed) if len(differences) else None
    return {"difference": told["value"], "interval": told["interval"], "p": chance, "users": told["users"]}


def _chance(differences: np.ndarray, seed: int) -> float:
    # A sign changes nothing about 0.
    differences = differences[differences != 0]
    ways = 2 ** len(differences) if len(differences) < FLIPS.bit_length() else None
    flips = FLIPS if ways is None else ways
    sums = np.zeros(flips)
    random = np.random.Generator(np.random.PCG64(seed))
    tables = _tables(differences)
    for first in range(0, len(tables), TABLES):
        here = np.arange(first, min(first + TABLES, len(tables)))
        if ways is None:
            signs = random.integers(256, size=(flips, len(here)), dtype=np.uint8)
        else:
            signs = (np.arange(ways)[:, None] >> (SIGNS * here) & 255).astype(np.uint8)
        sums += tables[here, signs].sum(axis=1)
    far = abs(differences.sum()) - ROUNDING * np.abs(differences).sum()
    hits = int(np.count_nonzero(np.abs(sums) >= far))
    # What was observed is one of the ways itself; without it p could be 0 (Phipson and Smyth 2010).
    return hits / ways if ways is not None else (hits + 1) / (flips + 1)


def _tables(differences: np.ndarray) -> np.ndarray:
    """The sum of each eight differences under each byte of signs, (bytes, 256)."""
    bits = np.arange(256)[:, None] >> np.arange(SIGNS) & 1
    padded = np.pad(differences, (0, -len(differences) % SIGNS)).reshape(-1, SIGNS)
    return padded @ (1.0 - 2.0 * bits).T
