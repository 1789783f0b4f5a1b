"""Which column plays which part: as the client says, else by the names that people give."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import Fault
from worker.formats.source import rejection

# In the order in which they are looked for; a name of one column only ever is a hint, so the last column never is one.
TARGETS = ("target", "label", "labels", "class", "genre", "composer", "mood", "y")
GROUPS = (
    "group", "groups", "artist", "artist_id", "album", "album_id", "work", "work_id", "song", "recording",
)  # fmt: skip
KEYS = (
    "id", "ids", "piece", "piece_id", "track_id", "track", "song_id", "filename", "file", "path", "key", "index",
)  # fmt: skip

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class Roles:
    """The part of each column; `keys` are those that are the id if every row has its own value in them."""

    target: list[str]
    group: str | None
    id: str | None
    mask: list[str]
    drop: list[str]
    keys: list[str]
    inferred: dict[str, str]
    # On what terms a row may be used, and whether it may be learned from.
    licence: str | None = None
    consent: str | None = None


def is_key(name: str, columns: Json) -> bool:
    """Whether a column may turn out to be the id."""
    return name == columns["id"] if columns.get("id") else name.lower() in KEYS


def assign(names: Sequence[str], columns: Json) -> Roles:
    """The role of each column; raises JobFailed with a suggestion for every named one that is not there."""
    given = {
        "target": _listed(columns.get("target")),
        "group": _listed(columns.get("group")),
        "id": _listed(columns.get("id")),
        "mask": _listed(columns.get("mask")),
        "drop": _listed(columns.get("drop")),
        "licence": _listed(columns.get("licence")),
        "consent": _listed(columns.get("consent")),
    }
    faults = [*_absent(given, names), *_doubled(given), *_all_dropped(given, names)]
    if faults:
        raise rejection(faults, len(faults))
    taken = {name for listed in given.values() for name in listed}
    target = given["target"] or _first(names, TARGETS, taken)
    group = given["group"] or _first(names, GROUPS, taken | {*target})
    found = {"target": target, "group": group}
    free = [name for name in names if name not in taken | {*target, *group}]
    return Roles(
        target=target,
        group=next(iter(group), None),
        id=next(iter(given["id"]), None),
        mask=given["mask"],
        drop=given["drop"],
        keys=[] if given["id"] else sorted(filter(_is_key_name, free), key=lambda name: KEYS.index(name.lower())),
        inferred={role: names[0] for role, names in found.items() if names and not given[role]},
        licence=next(iter(given["licence"]), None),
        consent=next(iter(given["consent"]), None),
    )


def _listed(said: str | Sequence[str] | None) -> list[str]:
    return [said] if isinstance(said, str) else list(said or ())


def _is_key_name(name: str) -> bool:
    return name.lower() in KEYS


def _first(names: Sequence[str], wanted: Sequence[str], taken: set[str]) -> list[str]:
    free = {name.lower(): name for name in names if name not in taken}
    return next(([free[word]] for word in wanted if word in free), [])


def _absent(given: Mapping[str, list[str]], names: Sequence[str]) -> Iterator[Fault]:
    lowered = {name.lower(): name for name in names}
    for role, name in _all(given):
        if name in names:
            continue
        near = difflib.get_close_matches(name.lower(), lowered, n=1)
        hint = f"did you mean {lowered[near[0]]!r}?" if near else f"the columns are {', '.join(names[:20])}"
        said = f"expected a column of the table, received {name!r}: {hint}"
        yield Fault(said, pointer=f"/columns/{role}", column=name, code="column_missing")


def _doubled(given: Mapping[str, list[str]]) -> Iterator[Fault]:
    first: dict[str, str] = {}
    # A mask says again what holds for a group or an id anyway: neither is ever learned from.
    for role, name in _all({role: listed for role, listed in given.items() if role != "mask"}):
        if name in first:
            said = f"expected one role for each column, received {first[name]} and {role} for {name!r}"
            yield Fault(said, pointer=f"/columns/{role}", column=name, code="column_roles")
        first.setdefault(name, role)


def _all_dropped(given: Mapping[str, list[str]], names: Sequence[str]) -> Iterator[Fault]:
    if set(names) <= set(given["drop"]):
        yield Fault("expected a column that is kept", pointer="/columns/drop", code="column_roles")


def _all(given: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    return ((role, name) for role, listed in given.items() for name in listed)
