"""The one JSON reader of the door: UTF-8, finite numbers, no key twice, not too deep, no text that SQL cannot hold."""

import json
import math
from typing import Any

from shared.errors import BadRequest

DEEPEST = 32
LARGEST_INTEGER = 2**63
# Up to here every integer is a number of its own in double precision.
EXACT = 2**53


def read(body: bytes) -> Any:  # Any: whatever JSON holds
    """Parse a request's body. Raises BadRequest, with a code for each way to be wrong."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise BadRequest("The body is not UTF-8.", code="json_invalid_text") from cause
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_integer
        )
    except RecursionError as cause:
        raise _too_deep() from cause
    except json.JSONDecodeError as cause:
        said = f"The body is not JSON: {cause.msg} in line {cause.lineno}, column {cause.colno}."
        raise BadRequest(said, code="json_malformed") from cause
    _check(value, depth=1)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # One look at each: a megabyte holds a hundred thousand names.
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadRequest(f"The key {twice[:100]!r} is there twice in one object.", code="json_duplicate_key")
    return found


def _constant(word: str) -> float:
    raise BadRequest(f"{word} is not a JSON number.", code="json_not_finite")


def _float(digits: str) -> float | int:
    number = float(digits)
    if not math.isfinite(number):
        raise BadRequest(f"The number {digits[:40]} is too large.", code="json_not_finite")
    # JSON has one sort of number: 9.0 is the integer 9.
    return int(number) if abs(number) < EXACT and number.is_integer() else number


def _integer(digits: str) -> int:
    # Judged by length first: converting a million digits takes long on purpose.
    if len(digits) > 20 or not -LARGEST_INTEGER <= (number := int(digits)) < LARGEST_INTEGER:
        raise BadRequest(f"The integer {digits[:40]} does not fit into 64 bits.", code="json_number_range")
    return number


def _check(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise _too_deep()
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name)
            _check(item, depth + 1)


def _check_text(text: str) -> None:
    if text.isascii() and "\0" not in text:
        return
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise BadRequest("A text holds a NUL or half a surrogate pair.", code="json_invalid_text")


def _too_deep() -> BadRequest:
    return BadRequest(f"The body is nested deeper than {DEEPEST} levels.", code="json_too_deep")
