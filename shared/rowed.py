"""Which datasets lose single rows: those whose rows have keys, from the same column in all versions of a name."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from shared import datasets, erasing
from shared.errors import Fault, InvalidRequest, NotAllowedNow

ALL = (*erasing.OF_ROWS, datasets.INTERACTIONS)
POINTER = "/subject/track"


def demand(sql: Connection, tenant: str, named: Sequence[Row[Any]]) -> None:
    """Raise unless a row can be told by its key in every version of the name that is ready.

    Raises InvalidRequest (track_unsupported), NotAllowedNow where no version is ready.
    """
    rows = erasing.versions(sql, tenant, named[0].name, datasets.READY, formats=ALL)
    if not rows:
        raise NotAllowedNow(f"The dataset is {named[0].state}, not ready.", code="dataset_not_ready")
    for row in rows:
        _demand_keys(row)
    columns = {_key_column(row): f"{row.name}@{row.version}" for row in reversed(rows)}
    if len(columns) > 1:
        told = ", ".join(f"{reference} by {column}" for column, reference in columns.items())
        raise _unsupported(f"expected rows with keys from one column in all versions, received {told}")


def _demand_keys(row: Row[Any]) -> None:
    if row.format == datasets.INTERACTIONS:
        raise _unsupported("expected a listener: rows of plays are listeners' events")
    if _key_column(row) is None:
        said = f"expected rows with keys: {row.name}@{row.version} has no id column; name one in a new version"
        raise _unsupported(said)


def _key_column(row: Row[Any]) -> str | None:
    found: str | None = ((row.profile or {}).get("roles") or {}).get("id")
    return found


def _unsupported(said: str) -> InvalidRequest:
    text = f"{said}, or erase the dataset, or those versions of it, as a whole"
    return InvalidRequest(text, code="track_unsupported", faults=[Fault(text, pointer=POINTER)])
