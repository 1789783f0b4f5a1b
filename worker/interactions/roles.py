"""The roles of the columns of interactions (shared/play_roles.py), with everything that is wrong with those named."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.errors import Fault
from shared.play_roles import CONTEXT, ITEM, ITEM_KEYS, NAMES, ROLES, TIME, USER, WEIGHT, Roles, infer
from worker.formats.source import rejection

__all__ = ["CONTEXT", "ITEM", "NAMES", "ROLES", "TIME", "USER", "WEIGHT", "Roles", "assign", "item_key"]


def assign(names: Sequence[str], given: Mapping[str, Any]) -> Roles:  # Any: what the client has sent
    """The role of each column but those to `drop`. Raises JobFailed for every named one that is not there."""
    named = [*((role, given.get(role)) for role in ROLES), *(("drop", name) for name in given.get("drop", ()))]
    faults = [*_absent(named, names), *_doubled(named)]
    if faults:
        raise rejection(faults, len(faults))
    assigned = infer(names, given)
    if None in (assigned.columns[USER], assigned.columns[ITEM]):
        left = [name for name in names if name not in given.get("drop", ())]
        said = f"expected a column of users and one of items, received {', '.join(map(repr, left))} alone"
        raise rejection([Fault(said, code="column_missing")], 1)
    return assigned


def item_key(names: Sequence[str], item: str | None) -> str:
    """The column of an item table that names the item: as the interactions do, by usual names, or the first."""
    if item in names:
        return str(item)
    lowered = {name.lower(): name for name in reversed(names)}
    return next((lowered[word] for word in ITEM_KEYS if word in lowered), names[0])


def _absent(given: Sequence[tuple[str, str | None]], names: Sequence[str]) -> Iterator[Fault]:
    lowered = {name.lower(): name for name in names}
    for role, name in given:
        if name is None or name in names:
            continue
        near = difflib.get_close_matches(name.lower(), lowered, n=1)
        hint = f"did you mean {lowered[near[0]]!r}?" if near else f"the columns are {', '.join(names[:20])}"
        said = f"expected a column of the interactions, received {name!r}: {hint}"
        yield Fault(said, pointer=f"/columns/{role}", column=name, code="column_missing")


def _doubled(given: Sequence[tuple[str, str | None]]) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for role, name in given:
        if name in first:
            said = f"expected one role for each column, received {first[name]} and {role} for {name!r}"
            yield Fault(said, pointer=f"/columns/{role}", column=name, code="column_roles")
        elif name is not None:
            first[name] = role
