"""Other labels in the rows of a table, in the way in which it has labels: a pure function of a batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from shared.audits import Label

Json = dict[str, Any]
Cell = str | int | float | bool | None

YES, NO = "true", "false"


def relabel(batch: pa.RecordBatch, first: int, target: Json, labels: Mapping[int, Label]) -> tuple[pa.RecordBatch, int]:
    """The batch, whose first row has the number `first`, with these labels; and how many rows are not as they were.

    `target` is what an audit says of how labels stand in the dataset.
    """
    chosen = [row for row in range(first, first + batch.num_rows) if row in labels]
    if not chosen:
        return batch, 0
    changed = set[int]()
    for name in target["columns"]:
        place = batch.schema.get_field_index(name)
        cells = batch.column(place).to_pylist()
        for row in chosen:
            cell = _cell(cells[row - first], batch.schema.field(place), target, labels[row])
            if cell != cells[row - first]:
                cells[row - first] = cell
                changed.add(row)
        batch = batch.set_column(place, batch.schema.field(place), pa.array(cells, batch.schema.field(place).type))
    return batch, len(changed)


def _cell(was: Cell, column: pa.Field, target: Json, label: Label) -> Cell:
    """What stands in one cell of a row that has this label, or these."""
    if isinstance(label, str):
        return _typed(label, column.type)
    if target["separator"] is None:
        return _flag(was, column.type, is_set=column.name in label)
    separator: str = target["separator"]
    before = [part.strip() for part in str(was or "").split(separator) if part.strip()]
    if set(before) == set(label):
        return was
    return separator.join([*(part for part in before if part in label), *_new(before, label)])


def _new(before: Sequence[str], label: Sequence[str]) -> list[str]:
    return [each for each in dict.fromkeys(label) if each not in before]


def _typed(label: str, kind: pa.DataType) -> Cell:
    if pa.types.is_boolean(kind):
        return label == YES
    if pa.types.is_integer(kind):
        return int(label)
    return float(label) if pa.types.is_floating(kind) else label


def _flag(was: Cell, kind: pa.DataType, *, is_set: bool) -> Cell:
    if pa.types.is_boolean(kind):
        return is_set
    if not pa.types.is_string(kind):
        return int(is_set)
    # As the cell had it: both are read alike.
    words = (NO, YES) if str(was).strip().lower() in (NO, YES) else ("0", "1")
    return words[is_set]
