"""What sort of thing a cell holds: all that an error may say of it, for its content is somebody's.

Errors are kept with jobs, read by whoever may read these, and copied into tickets. Beside the row, the column and what
was expected, the sort is enough to find a cell and to see what is wrong with it.
"""

import math

from shared.cells import read_number

# The largest number of 32 bits, in which networks compute.
FLOAT32_MAX = 3.4028234663852886e38


def of(cell: object) -> str:
    """Such as "text of 5 characters", "blanks" or "a negative number"; of a list or an object how long it is."""
    match cell:
        case None | "":
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return _of_number(cell)
        case str():
            return _of_text(cell)
        case list() | tuple():
            return f"a list of {len(cell):,}"
        case dict():
            return "an object"
    return "something else"


def _of_text(text: str) -> str:
    if not text.strip():
        return "blanks"
    number = read_number(text)
    if number is not None:
        return _of_number(number)
    length = f"text of {len(text):,} character{'' if len(text) == 1 else 's'}"
    return length if text.isprintable() else f"{length}, some of which cannot be printed"


def _of_number(number: float) -> str:
    if isinstance(number, int) and abs(number) > FLOAT32_MAX:
        return "a number too large for 32 bits"
    if math.isnan(number):
        return "no number (NaN)"
    if math.isinf(number):
        return "an infinite number"
    if abs(number) > FLOAT32_MAX:
        return "a number too large for 32 bits"
    if number < 0:
        return "a negative number"
    return "a whole number" if number == math.floor(number) else "a number with a fraction"
