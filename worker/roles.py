"""Which column plays which part: as the client says, else by the names that people give."""

import difflib
from typing import Any

import pyarrow as pa

from shared.errors import Fault, JobFailed

TARGETS = ("target", "label", "class", "genre", "composer", "mood", "y")
GROUPS = ("group", "artist", "album", "work", "song", "recording", "artist_id", "album_id", "track_group")
KEYS = ("id", "key", "piece", "track", "track_id", "filename", "file", "song_id")

Json = dict[str, Any]


def assign(names: dict[str, pa.DataType], columns: Json) -> Json:
    """The role of each named column; raises JobFailed with a suggestion for every name that is not there."""
    targets = columns.get("target")
    chosen = [targets] if isinstance(targets, str) else list(targets or [])
    roles: Json = {
        "target": chosen or _first(names, TARGETS),
        "group": columns.get("group") or next(iter(_first(names, GROUPS)), None),
        "id": columns.get("id") or next(iter(_first(names, KEYS)), None),
        "mask": list(columns.get("mask") or []),
        "drop": list(columns.get("drop") or []),
    }
    _demand_all(names, roles, columns)
    return _without_doubles(roles, columns)


def _first(names: dict[str, pa.DataType], wanted: tuple[str, ...]) -> list[str]:
    known = {name.lower(): name for name in names}
    return next(([known[word]] for word in wanted if word in known), [])


def _without_doubles(roles: Json, columns: Json) -> Json:
    """A column has one role; what was only inferred gives way."""
    taken = {*roles["target"], *roles["mask"], *roles["drop"]}
    for role in ("group", "id"):
        if roles[role] in taken and not columns.get(role):
            roles[role] = None
        taken.add(roles[role])
    return roles


def _demand_all(names: dict[str, pa.DataType], roles: Json, columns: Json) -> None:
    faults = []
    for role, wanted in roles.items():
        for name in [wanted] if isinstance(wanted, str) else wanted or []:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; the columns are {', '.join(list(names)[:20])}"
                faults.append(Fault(f"there is no column {name!r}{hint}", pointer=f"/columns/{role}", column=name))
    if faults:
        raise JobFailed(
            f"A column that was named is not there: {faults[0].message}", code="dataset_rejected", faults=faults
        )
    if columns.get("target") == []:
        roles["target"] = []
