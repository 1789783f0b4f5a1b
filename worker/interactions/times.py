"""Moments as clients write them: seconds since 1970, or milliseconds and finer, told by their size; ISO 8601; UTC."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# In seconds the first is the year 5138; in milliseconds it is 1973, and so on for microseconds and nanoseconds.
MILLISECONDS_FROM, MICROSECONDS_FROM, NANOSECONDS_FROM = 1e11, 1e14, 1e17
MICROSECOND = pa.timestamp("us")
MICROSECOND_UTC = pa.timestamp("us", tz="UTC")


def read(cells: pa.Array) -> np.ndarray:
    """Seconds since 1970 of a column of text, float64 (rows,); NaN where a cell is no moment."""
    first = cells.drop_null().slice(0, 1)
    for kind in (pa.float64(), MICROSECOND_UTC, MICROSECOND):
        # A cast that fails costs far more than one that does not.
        found = _try(cells, kind) if _try(first, kind) is not None else None
        if found is not None:
            return _scaled(_floats(found)) if kind == pa.float64() else _floats(pc.cast(found, pa.int64())) / 1e6
    return _one_by_one(cells)


def _try(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return pc.cast(cells, kind)
    except pa.ArrowInvalid:
        return None


def _floats(numbers: pa.Array) -> np.ndarray:
    return pc.cast(numbers, pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64, copy=False)


def _scaled(numbers: np.ndarray) -> np.ndarray:
    size = np.abs(numbers)
    scale = np.select(
        [size < MILLISECONDS_FROM, size < MICROSECONDS_FROM, size < NANOSECONDS_FROM], [1.0, 1e3, 1e6], 1e9
    )
    found = numbers / scale
    return np.where(np.isfinite(found), found, np.nan)


def _one_by_one(cells: pa.Array) -> np.ndarray:
    """Where one cell of many is no moment, or they are written in several ways."""
    coded = pc.utf8_trim_whitespace(cells).dictionary_encode()
    values = np.array([*(_read(word) for word in coded.dictionary.to_pylist()), np.nan])
    codes = coded.indices.fill_null(len(values) - 1).to_numpy()
    return values[codes]


def _read(word: str) -> float:
    if _try(pa.array([word]), pa.float64()) is not None:
        return float(_scaled(np.array(float(word))))
    try:
        moment = datetime.fromisoformat(word)
    except ValueError:
        return float("nan")
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def write(moment_s: float) -> str:
    """RFC 3339, in UTC and whole seconds."""
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
