"""Whether a table has the columns that a model was trained on, as far as its profile tells.

What no profile tells, the worker reads from the table itself (worker/fitting.py).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row

from shared import sorts
from shared.cells import read_number
from shared.errors import Fault, InvalidRequest
from shared.table_params import TableTraining, Validation

# Of the columns that there are, in a sentence.
SHOWN = 20

Json = dict[str, Any]


def refuse_unlike(rows: Sequence[Row[Any]], version: Row[Any], repeated: Sequence[str]) -> None:
    """Raise InvalidRequest with every column of these tables that is missing, or holds words where numbers were.

    `repeated` are the columns that the client wants to see again. Of a version that an older release made nothing is
    known here.
    """
    trained = version.lineage.get("columns")
    if trained is None:
        return
    faults = [fault for row in rows for fault in _faults(row, trained, repeated)]
    if not faults:
        return
    named = ", ".join(dict.fromkeys(repr(fault.column) for fault in faults))
    said = f"The columns are not those that {version.name}@{version.number} was trained on: {named}."
    # A missing column weighs more: what else is wrong may be wrong because of it.
    is_missing = any(fault.code == "columns_missing" for fault in faults)
    raise InvalidRequest(said, code="columns_missing" if is_missing else "column_not_numeric", faults=faults)


def refuse_unnamed(rows: Sequence[Row[Any]], params: TableTraining, *, under: str, group_at: str) -> None:
    """Raise InvalidRequest for params that name a column which the table to learn from has not.

    They stand at `under`, the group's at `group_at`.
    """
    if not rows or rows[0].format != "table":
        return
    present = [column["name"] for column in rows[0].profile["columns"]]
    validation = params.validation or Validation()
    named = [(group_at, validation.group), (f"{under}/validation/time", validation.time)]
    named += [(f"{under}/report_by/{place}", name) for place, name in enumerate(params.report_by)]
    absent = [(pointer, name) for pointer, name in named if name is not None and name not in present]
    if not absent:
        return
    of = f"{rows[0].name}@{rows[0].version}"
    faults = [Fault(f"expected a column of {of}", pointer=pointer, column=name) for pointer, name in absent]
    said = f"{of} has no column {', '.join(repr(name) for _, name in absent)}; it has {', '.join(present[:SHOWN])}"
    raise InvalidRequest(f"{said}{', …' if len(present) > SHOWN else ''}.", code="column_unknown", faults=faults)


def _faults(row: Row[Any], trained: Sequence[Json], repeated: Sequence[str]) -> Iterator[Fault]:
    present = {column["name"]: column for column in row.profile["columns"]}
    needed = {column["name"]: column["type"] for column in trained}
    of = f"{row.name}@{row.version}"
    for name in dict.fromkeys([*needed, *repeated]):
        pointer = "/dataset" if name in needed else "/params/columns"
        if name not in present:
            said = f"expected a column of this name in {of}"
            yield Fault(said, pointer=pointer, column=name, code="columns_missing")
        elif needed.get(name) == "number" and (word := _word_among_words(present[name])) is not None:
            said = f"expected numbers in {of}, received words alone, such as {sorts.of(word)}"
            yield Fault(said, pointer=pointer, column=name, code="column_not_numeric")


def _word_among_words(column: Json) -> str | None:
    """One of a column's values, if each of them is known and none is a number; else None."""
    values = [value for value, _ in column.get("top", ())]
    if not values or len(values) != column["distinct"] or column["type"] != "text":
        return None
    return None if any(read_number(value) is not None for value in values) else str(values[0])
