"""Of a param that the service does not know: the one that was meant, perhaps."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from etude.client import Client
from etude.errors import Refused

PARAM, UNKNOWN = "/params/", "unknown here"

Json = dict[str, Any]


@contextmanager
def named(client: Client) -> Iterator[None]:
    """Add to a refusal, for each param that is unknown, the nearest that there is."""
    try:
        yield
    except Refused as refused:
        if not any(map(_is_unknown, refused.faults)):
            raise
        known = {name for kind in client.kinds() for name in _params(kind)}
        faults = [_with_near(fault, known) if _is_unknown(fault) else fault for fault in refused.faults]
        raise Refused(refused.status, {**refused.problem, "errors": faults}) from refused


def _is_unknown(fault: Json) -> bool:
    return str(fault.get("pointer", "")).startswith(PARAM) and UNKNOWN in str(fault["message"])


def _params(kind: Json) -> Iterator[str]:
    for schema in kind["actions"].values():
        yield from schema["params"].get("properties", {})


def _with_near(fault: Json, known: set[str]) -> Json:
    near = difflib.get_close_matches(fault["pointer"].removeprefix(PARAM), known, n=1)
    return {**fault, "message": f"{fault['message']}: did you mean {near[0]}?"} if near else fault
