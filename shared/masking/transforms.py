"""What a rule makes of one cell. Runs in the confined child: nothing here needs more than Python."""

import bisect
import datetime
import hmac
import math
import random
import re
from collections.abc import Callable, Mapping
from typing import Any

from shared.cells import read_number

PREFIX = "h-"
HEX_DIGITS = 32
OTHER = "other"
# As every reader of tables here has them (worker/formats/columns.py): such a cell is missing, and stays so.
MISSING = frozenset(["", "NA", "N/A", "NaN", "nan", "null", "None", "?"])
DATE = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2})(?:[T ].*)?)?", re.ASCII | re.DOTALL)
# The last bits of a float that noise was added to may tell which one it was added to (Mironov 2012).
STEPS_A_SCALE = 1024

Json = Mapping[str, Any]  # Any: JSON
Transform = Callable[[str], str]


class Unfit(ValueError):
    """A cell that the rule cannot be applied to: says what was expected, and never what the cell holds."""


def of(rule: Json, key: bytes, source: random.Random) -> Transform | None:
    """The transform of a rule, or None for a column that is dropped; `source` is the operating system's chance."""
    match rule:
        case {"rule": "drop"}:
            return None
        case {"rule": "hash"}:
            return lambda cell: pseudonym(key, cell)
        case {"rule": "noise"}:
            return _noise(rule, source)
        case {"width": width}:
            return lambda cell: shown(_lower_end(number(cell), width))
        case {"edges": edges}:
            return lambda cell: shown(edges[max(0, bisect.bisect_right(edges, number(cell)) - 1)])
        case {"date": unit}:
            return lambda cell: _first_day(cell, unit)
        case {"prefix": count}:
            return lambda cell: cell.strip()[:count]
        case {"groups": groups}:
            names = {word: group for group, words in groups.items() for word in words}
            return lambda cell: names.get(cell.strip(), OTHER)
    raise ValueError("expected a rule of shared/masking/rules.py")


def pseudonym(key: bytes, cell: str, *, prefix: str = PREFIX) -> str:
    """128 bits of an HMAC-SHA256 of the cell without the blanks around it."""
    return prefix + hmac.digest(key, cell.strip().encode(), "sha256").hex()[:HEX_DIGITS]


def is_missing(cell: str) -> bool:
    return cell.strip() in MISSING


def number(cell: str) -> float:
    found = read_number(cell)
    if found is None or not math.isfinite(found):
        raise Unfit("expected a finite number")
    return found


def _lower_end(value: float, width: float) -> float:
    if not math.isfinite(value / width) or not math.isfinite(lower := math.floor(value / width) * width):
        raise Unfit("expected a number that the width divides into bins: this one is too far from 0")
    return lower


def shown(value: float) -> str:
    return f"{value:.15g}"


def _noise(rule: Json, source: random.Random) -> Transform:
    scale, (low, high) = rule["scale"], rule["bounds"]
    grid = 2.0 ** math.floor(math.log2(scale)) / STEPS_A_SCALE

    def drawn() -> float:
        if rule["distribution"] == "gaussian":
            return float(source.gauss(0.0, scale))
        # The difference of two exponential numbers is Laplace's.
        return float(scale * (source.expovariate(1.0) - source.expovariate(1.0)))

    def noised(cell: str) -> str:
        return shown(round((min(max(number(cell), low), high) + drawn()) / grid) * grid)

    return noised


def _first_day(cell: str, unit: str) -> str:
    found = DATE.fullmatch(cell.strip())
    if found is None:
        raise Unfit("expected a date as 2024-05-31, or a moment that begins so")
    year, month, day = (int(part or 1) for part in found.groups())
    try:
        date = datetime.date(year, month, day)
    except ValueError as cause:
        raise Unfit("expected a date that there is") from cause
    # A whole date, for a year alone would be read as a number, and as seconds since 1970.
    return date.replace(month=1 if unit == "year" else date.month, day=1).isoformat()
