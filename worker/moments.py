"""A column read as moments: numbers as they are, texts as ISO 8601 dates."""

from datetime import UTC, datetime

import numpy as np

from shared.errors import FAULTS_SHOWN, Fault, JobFailed
from worker import tables
from worker.tables import Column, Texts

EXPECTED = "a finite number or a date as 2024-05-31, with a time after it where there is one"


def read(name: str, column: Column, rows: np.ndarray) -> np.ndarray:
    """What orders the rows, float64 (rows,). Raises JobFailed (time_unreadable) with the places of all other cells."""
    moments = _of_words(column) if isinstance(column, Texts) else column
    wrong = np.flatnonzero(~np.isfinite(moments))
    if len(wrong) == 0:
        return moments
    missing = tables.is_missing(column)
    faults = [
        Fault(
            f"expected {EXPECTED}, received {'nothing' if missing[place] else 'something else'}", row=row, column=name
        )
        for place, row in zip(wrong[:FAULTS_SHOWN].tolist(), rows[wrong[:FAULTS_SHOWN]].tolist(), strict=True)
    ]
    raise JobFailed(
        f"{len(wrong):,} cells of {name!r} tell no moment: expected {EXPECTED}. Mend them, leave these rows out, or "
        "validate otherwise.",
        code="time_unreadable",
        faults=faults,
        faults_total=len(wrong),
    )


def _of_words(texts: Texts) -> np.ndarray:
    # The last stands for cells that are empty, whose code is -1.
    return np.array([*map(_seconds, texts.words), np.nan])[texts.codes]


def _seconds(word: str) -> float:
    """Seconds since 1970; without an offset the moment is read as UTC. NaN for what is no date."""
    try:
        moment = datetime.fromisoformat(word.strip())
    except ValueError:
        return np.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
