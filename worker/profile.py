"""What a table is like: the figures of its columns, the id, the classes, repeated rows, and what to be warned of."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from shared.consenting import REFUSED
from worker import consent_cells, hashes
from worker.figures import Figures
from worker.formats.scratch import Scratch
from worker.formats.source import NUMBER
from worker.roles import Roles

# The lists of values of all columns together; beyond, a column keeps its most frequent ten.
LISTED_CHARACTERS = 1024 * 1024
ALWAYS_LISTED = 10
MOSTLY_MISSING = 0.5
# From this share of one class on, a network that always names it looks good.
IMBALANCED = 0.9

Json = dict[str, Any]  # Any: JSON


class TableProfile:
    """The figures of a whole table, learned batch by batch; hashes of rows lie in `scratch`."""

    def __init__(self, types: Mapping[str, pa.DataType], roles: Roles, scratch: Scratch) -> None:
        self.columns = {name: Figures(name, kind) for name, kind in types.items()}
        self.rows = 0
        self._roles = roles
        keys = [roles.id] if roles.id else [name for name in roles.keys if types.get(name, NUMBER) != NUMBER]
        self._keys = {name: hashes.HashList(scratch.new_file()) for name in keys}
        self._whole = hashes.HashList(scratch.new_file())
        self._rights = consent_cells.Tally(roles.licence, roles.consent)

    def take(self, group: pa.Table) -> None:
        """Look at the next rows; their columns stand in the order of the types."""
        whole = np.zeros(group.num_rows, np.uint64)
        for place, (name, column) in enumerate(self.columns.items()):
            # A sum, so that one column's part can be taken away again once it is known to be the id.
            part = hashes.mix(column.take(group.column(place).combine_chunks()) + np.uint64(place))
            whole += part
            if name in self._keys:
                self._keys[name].add(part)
        self._whole.add(whole)
        self._rights.take(group)
        self.rows += group.num_rows

    def as_json(self) -> Json:
        unique = [name for name in self._keys if self._is_unique(name)]
        key = self._roles.id or next(iter(unique), None)
        said: Json = {
            "rows": self.rows,
            "columns": self._told_columns(),
            "roles": {
                "target": self._roles.target,
                "group": self._roles.group,
                "id": key,
                "mask": self._roles.mask,
                "drop": self._roles.drop,
                **self._of_rights(),
            },
            "duplicates": self._count_duplicates(key),
        }
        rights = self._rights.as_json()
        if rights is not None:
            said["rights"] = rights
        target = self._label
        if target is not None:
            said["classes"] = dict(target.top())
        of_rows = [*_on_rows(said["duplicates"]), *_on_rights(rights)]
        warnings = [*self._on_roles(key, unique), *self._on_columns(), *of_rows]
        return {**said, "warnings": [{"code": code, "detail": detail} for code, detail in warnings]}

    def _of_rights(self) -> dict[str, str]:
        """Only where they are named: most tables have no such columns."""
        named = {"licence": self._roles.licence, "consent": self._roles.consent}
        return {role: column for role, column in named.items() if column is not None}

    @property
    def _label(self) -> Figures | None:
        """The target, when it is one column of labels."""
        targets = [self.columns[name] for name in self._roles.target]
        return targets[0] if len(targets) == 1 and targets[0].is_listed else None

    def _told_columns(self) -> list[Json]:
        told, left = [], LISTED_CHARACTERS
        for column in self.columns.values():
            said = column.as_json()
            if column.is_listed:
                top = column.top()
                size = sum(len(value) for value, _ in top)
                said["top"] = top if size <= left else top[:ALWAYS_LISTED]
                left -= min(size, left)
            told.append(said)
        return told

    def _is_unique(self, name: str) -> bool:
        column, key = self.columns[name], self._keys[name]
        return column.missing == 0 and hashes.count_distinct(key.blocks, key.count) == self.rows

    def _count_duplicates(self, key: str | None) -> int:
        """How many rows equal an earlier one in everything but the id."""

        def blocks() -> Iterator[np.ndarray]:
            if key is None:
                return self._whole.blocks()
            pairs = zip(self._whole.blocks(), self._keys[key].blocks(), strict=True)
            return (whole - part for whole, part in pairs)

        return self.rows - hashes.count_distinct(blocks, self.rows)

    def _on_roles(self, key: str | None, unique: list[str]) -> Iterator[tuple[str, str]]:
        for role, name in self._roles.inferred.items():
            yield f"{role}_inferred", f"Column {name} was taken for the {role} by its name."
        if not self._roles.target:
            yield "no_target", "No column is named as the target, and no name tells: a training needs one."
        if key is not None and key not in unique:
            yield "id_not_unique", f"Column {key} names several rows alike, or none."
        elif key is not None and self._roles.id is None:
            yield "id_inferred", f"Column {key} was taken for the id: each row has its own value there."
        for name in self._roles.target:
            if (missing := self.columns[name].missing) > 0:
                yield "target_missing_cells", f"{missing:,} rows have no value of the target {name}."
        yield from self._on_classes()

    def _on_classes(self) -> Iterator[tuple[str, str]]:
        target = self._label
        if target is None or target.distinct < 2:
            return
        top = target.top()
        count = top[0][1]
        if count >= IMBALANCED * target.present:
            yield (
                "target_imbalanced",
                f"{count / target.present:.0%} of the rows have one label in {target.name}.",
            )
        single = [value for value, count in top if count == 1]
        if single and target.kind != pa.int64():
            yield "class_of_one_row", f"{len(single):,} classes of {target.name} have one row only."

    def _on_columns(self) -> Iterator[tuple[str, str]]:
        for name, column in self.columns.items():
            if column.missing > MOSTLY_MISSING * self.rows:
                yield "mostly_missing", f"Column {name} is {column.missing / self.rows:.0%} empty."
            elif column.distinct <= 1:
                yield "constant_column", f"Column {name} has one value throughout."
            if column.mixed is not None:
                rows = ", ".join(str(row) for row in column.mixed["rows"][:ALWAYS_LISTED])
                said = f"Column {name} holds numbers, but {column.mixed['count']:,} cells are text: rows {rows}."
                yield "mixed_types", said


def _on_rights(rights: Json | None) -> Iterator[tuple[str, str]]:
    refused = ((rights or {}).get("consents") or {}).get(REFUSED, 0)
    if refused:
        yield (
            "rights_excluded",
            f"Rows that no training may learn from, for consent is refused: {refused:,}.",
        )


def _on_rows(duplicates: int) -> Iterator[tuple[str, str]]:
    if duplicates:
        yield "duplicates", f"Rows that repeat an earlier one in everything but the id: {duplicates:,}."
