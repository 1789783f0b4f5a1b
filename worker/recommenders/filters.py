"""Which items may stand in a list: by what the item table says of them, and by how many have played them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shared.errors import Fault, InvalidRequest
from worker.recommenders.catalogue import Catalogue

Json = dict[str, Any]
# In an error: more names than that help nobody.
NAMED = 50
# No sign stands behind it.
AFTER_ALL = "\U0010ffff"


def allowed(catalogue: Catalogue, filters: Json, *, pointer: str) -> np.ndarray | None:
    """Bool (items,); None where nothing is filtered. Raises InvalidRequest for a column that is not there.

    `allow` and `deny` name columns, and of each the labels, or from where to where it may go.
    """
    found: np.ndarray | None = None
    for how in ("allow", "deny"):
        for name, wanted in (filters.get(how) or {}).items():
            if name not in catalogue:
                raise _unknown(catalogue, name, f"{pointer}/{how}/{name}")
            fits = _fits(catalogue, name, wanted, f"{pointer}/{how}/{name}")
            fits = fits if how == "allow" else ~fits
            found = fits if found is None else found & fits
    return found


def unknown_labels(catalogue: Catalogue, filters: Json) -> list[tuple[str, str]]:
    """Columns and labels that filters name and no item has: a word that was mistyped filters nothing, or everything."""
    return [
        (name, label)
        for how in ("allow", "deny")
        for name, wanted in (filters.get(how) or {}).items()
        if not isinstance(wanted, Mapping)
        for label in catalogue.labels(name).unknown([_word(each) for each in wanted])
    ]


def _fits(catalogue: Catalogue, name: str, wanted: Sequence[str] | Mapping[str, Any], pointer: str) -> np.ndarray:
    if not isinstance(wanted, Mapping):
        return catalogue.labels(name).having([_word(each) for each in wanted])
    low, high = wanted.get("min"), wanted.get("max")
    if catalogue.is_number(name):
        return _between(catalogue.numbers(name), *(_number(each, pointer) for each in (low, high)))
    # Dates as ISO 8601 writes them stand in the order of their letters; a year, or a month, is all of its days.
    texts = np.array([text or "" for text in catalogue.texts(name)], object)
    least, most = (None if each is None else _word(each) for each in (low, high))
    return (texts != "") & _between(texts, least, None if most is None else f"{most}{AFTER_ALL}")


def _between(values: np.ndarray, low: Any, high: Any) -> np.ndarray:  # Any: numbers or texts
    fits = ~(values != values) if values.dtype != object else np.ones(len(values), bool)
    if low is not None:
        fits &= np.asarray(values >= low, bool)
    return fits if high is None else fits & np.asarray(values <= high, bool)


def _number(value: Any, pointer: str) -> float | None:  # Any: a number or text of JSON
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    said = f"expected numbers as min and max of a column of numbers, received {value!r}"
    raise InvalidRequest(said, faults=[Fault(said, pointer=pointer)])


def _word(value: Any) -> str:  # Any: a label of JSON
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _unknown(catalogue: Catalogue, name: str, pointer: str) -> InvalidRequest:
    known = f"which has {', '.join(catalogue.names[:NAMED])}" if catalogue.names else "but there was none"
    said = f"expected a column of the item table, {known}, received {name!r}"
    return InvalidRequest(said, faults=[Fault(said, pointer=pointer)])
