"""What Pydantic finds wrong with a client's document, as our faults."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from shared import sorts
from shared.errors import Fault, InvalidRequest

# What these fields hold names a listener, an item, a recording or a row, or was read in one: only its sort is told.
OF_ROWS = {"user", "item", "items", "listener", "track", "piece", "key", "label"}


def of(error: ValidationError, *, under: str = "", document: Any = None) -> InvalidRequest:  # Any: JSON
    """Pydantic's faults as ours: a JSON pointer, what was expected and what was received, for every one of them.

    `document` is what was looked at, where branches of its unions are told apart by a word of the client's.
    """
    found = [
        _fault(fault, _there(_place(fault), document), under)
        for fault in error.errors(include_url=False)
        if not _is_other_branch(fault, error.error_count())
    ]
    said = f"{len(found)} of the fields do not fit the contract." if len(found) > 1 else found[0].message
    return InvalidRequest(said, faults=found)


def _place(fault: Any) -> list[int | str]:  # Any: pydantic's typed dict
    """The places of the client's document; pydantic also names the branch of a union (a function, a class, a tag)."""
    if not fault["loc"]:
        return []
    *parts, last = fault["loc"]
    tags = {place + 1 for place, part in enumerate(parts) if str(part).startswith("tagged-union")}
    inner = [part for place, part in enumerate(parts) if place not in tags and _is_of_document(part)]
    is_clients = fault["type"] in ("extra_forbidden", "missing")
    return [*inner, *([last] if is_clients or _is_of_document(last) else [])]


def _there(place: list[int | str], document: Any) -> list[int | str]:  # Any: JSON
    """The place without the names of branches, which the document does not have; a missing field is its last part."""
    if document is None:
        return place
    found: list[int | str] = []
    for number, part in enumerate(place):
        is_key = isinstance(document, dict) and part in document
        is_item = isinstance(document, list) and isinstance(part, int) and part < len(document)
        if is_key or is_item:
            document = document[part]
            found.append(part)
        elif number == len(place) - 1 and isinstance(document, dict) and part not in document.values():
            found.append(part)
    return found


def _is_of_document(part: int | str) -> bool:
    return isinstance(part, int) or (part.isidentifier() and not part[0].isupper()) or part.startswith("label.")


def _is_other_branch(fault: Any, count: int) -> bool:  # Any: pydantic's typed dict
    """Whether this is what the wrong branch of a number-or-object says, and the right one has spoken, too."""
    if isinstance(fault["input"], dict):
        return count > 1 and fault["type"] in ("float_type", "int_type", "bool_type")
    return count > 1 and fault["type"] == "model_attributes_type"


def _escape(part: int | str) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _fault(fault: Any, place: Sequence[int | str], under: str) -> Fault:  # Any: pydantic's typed dict
    pointer = under + "".join(f"/{_escape(part)}" for part in place)
    return Fault(_say(fault, _show(fault["input"], place)), pointer=pointer)


def _show(received: object, place: Sequence[int | str]) -> str:
    # A list or an object may hold such fields, too.
    if isinstance(received, dict | list) or not OF_ROWS.isdisjoint(place):
        return sorts.of(received)
    shown = repr(received)
    return shown if len(shown) <= 80 else shown[:77] + "…"


def _say(fault: Any, shown: str) -> str:  # Any: pydantic's typed dict
    match fault["type"]:
        case "missing":
            return "expected this field, received none"
        case "extra_forbidden":
            return "this field is unknown here"
        case "union_tag_not_found":
            return f"expected the field {fault['ctx']['discriminator']}, received none"
        case "union_tag_invalid":
            return f"expected {fault['ctx']['discriminator']} to be one of {fault['ctx']['expected_tags']}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"expected an object, received {shown}"
    said = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return said if said.startswith("expected") else f"expected {said[0].lower()}{said[1:]}, received {shown}"
