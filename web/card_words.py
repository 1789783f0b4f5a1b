"""Values as they stand on a model card: text without signs that hide or turn it, numbers, numbers with intervals."""

import re
from collections.abc import Sequence
from typing import Any

# Neither controls nor what turns text around: labels and columns come from the files of clients.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
CELL_SHOWN = 200


def plain(said: Any, most: int = CELL_SHOWN) -> str:
    """Text in one line, without signs that hide or turn it."""
    text = _UNFIT.sub(" ", str(said)).strip()
    return text if len(text) <= most else f"{text[: most - 1]}…"


def figure(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        # What rounding has left of nothing is nothing.
        return f"{value if abs(value) > 1e-12 else 0.0:.4g}"
    return plain(value)


def with_interval(value: Any, interval: Sequence[Any] | None) -> str:
    ends = f" ({figure(interval[0])} to {figure(interval[1])})" if interval else ""
    return f"{figure(value)}{ends}"
