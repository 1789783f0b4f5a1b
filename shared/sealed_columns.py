"""Columns whose cells are sealed: three types, and a listener that lets them know whose row it is.

A type is told a value and nothing of its row. So the listener keeps the statement at hand, and a type that has to seal
looks there: the tenant is the connection's (`Database.of`), that of the rows that are inserted, or the one that the
conditions name. What is read needs none of that, for a cell names its tenant; but a tenant's connection opens no
other's, wherever somebody has put it.
"""

import functools
import hashlib
import threading
from operator import eq, ne
from typing import Any

import orjson
from sqlalchemy import JSON, BinaryExpression, BindParameter, Column, Connection, Dialect, Insert, String, Text
from sqlalchemy.sql import visitors
from sqlalchemy.sql.operators import in_op, is_, is_not, not_in_op
from sqlalchemy.types import TypeDecorator, TypeEngine

from shared.errors import Damaged
from shared.sealing import cells
from shared.sealing.cells import Cells
from shared.sealing.unreadable import Unreadable
from shared.tenancy import OPTION

# The owner of what is no tenant's.
NOBODY = "-"
# Where a dialect, of which an engine has its own, keeps what seals.
CELLS = "etude_cells"

_present = threading.local()


class _Unread(TypeEngine.Comparator[Any]):
    """Of what is sealed anew each time, SQL can tell no more than whether it is there."""

    allowed: frozenset[Any] = frozenset({is_, is_not})

    def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:  # Any: as SQLAlchemy has it
        is_null_asked = op in (eq, ne) and other[0] is None
        if op not in self.allowed and not is_null_asked:
            raise TypeError(f"{self.expr}: SQL cannot read what is sealed, so not say {op.__name__} of it")
        return super().operate(op, *other, **kwargs)

    reverse_operate = operate


class _Equal(_Unread):
    """Of names, which are sealed alike each time, it can also tell whether they are equal."""

    allowed = frozenset({is_, is_not, eq, ne, in_op, not_in_op})

    def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:  # Any: as SQLAlchemy has it
        for each in other:
            if isinstance(each, Column) and getattr(each.type, "what", None) != self.expr.type.what:  # type: ignore[attr-defined]
                raise TypeError(f"{self.expr} and {each} are not sealed alike, so are never equal")
        return super().operate(op, *other, **kwargs)

    reverse_operate = operate


class _SealedText(TypeDecorator[str]):
    """Text that lies sealed; `length` is what was declared before."""

    impl = Text

    def __init__(self, what: str, length: int | None = None, *, whose: str | None = None) -> None:
        super().__init__()
        self.what, self.length, self.whose = what, length, whose

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        # SQLite takes texts of any length, and would copy the whole table to have it said.
        is_declared = self.length is not None and dialect.name == "sqlite"
        return String(self.length) if is_declared else Text()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else self.seal(_cells(dialect), self.whose or _whose(self.what), value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # Any: or Unreadable
        return None if value is None else _open(dialect, self.what, value, whose=self.whose)

    def seal(self, by: Cells, tenant: str, value: str) -> str:
        """The cell; how it is sealed is all in which the two types below differ, and no column is of this one."""
        raise NotImplementedError


class Sealed(_SealedText):
    """Text of which the database can tell nothing. `what` is what it holds: columns of one `what` may be copied into
    each other.
    """

    cache_ok = True
    comparator_factory = _Unread

    def seal(self, by: Cells, tenant: str, value: str) -> str:
        return by.seal(tenant, self.what, value)


class SealedName(_SealedText):
    """A name, of which the database can tell whether it equals another of its tenant and `what`: it is found by it,
    and unique. `whose` is its owner where that is not the row's tenant.
    """

    cache_ok = True
    comparator_factory = _Equal

    def seal(self, by: Cells, tenant: str, value: str) -> str:
        return by.seal_name(tenant, self.what, value)


class SealedJson(TypeDecorator[Any]):
    """JSON that lies sealed, as a JSON text: the database takes it for JSON as before."""

    impl = JSON
    cache_ok = True
    comparator_factory = _Unread

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None or value is JSON.NULL:
            return value
        return _cells(dialect).seal(_whose(self.what), self.what, orjson.dumps(value).decode())

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        # From before, which may be anything.
        if not isinstance(value, str) or not cells.is_sealed(value):
            return value
        opened = _open(dialect, self.what, value, whose=None)
        return opened if isinstance(opened, Unreadable) else orjson.loads(opened)


def note(sql: Connection, statement: Any, many: Any, one: Any, options: Any) -> None:  # Any: as SQLAlchemy has it
    """A listener of `before_execute`, after that of the tenancy: keep at hand what a type may have to look at."""
    _present.tenant = _present.reader = sql.get_execution_options().get(OPTION)
    _present.statement = (statement, many, one)


def seal_name(sql: Connection, column: Column[Any], tenant: str, value: str) -> str:
    """The cell of a name, for a statement that passes the types by."""
    return _cells(sql.dialect).seal_name(tenant, column.type.what, value)  # type: ignore[attr-defined]


def digest(sql: Connection, tenant: str, what: str, said: bytes) -> str:
    """By which a tenant's rows are told to be of the same, and nobody without its key tells of what."""
    return _cells(sql.dialect).digest(tenant, what, hashlib.sha256(said).hexdigest())


def is_sealed(column: Any) -> bool:  # Any: a column, or what stands for one
    return isinstance(column.type, _SealedText | SealedJson)


def _open(dialect: Dialect, what: str, cell: str, *, whose: str | None) -> str | Unreadable:
    """What the cell holds. Raises Damaged, but of rows of all tenants: there only whoever uses it does."""
    reader: str | None = getattr(_present, "reader", None)
    try:
        return _cells(dialect).open(what, cell, whose=whose or reader)
    except Damaged as damaged:
        if reader is not None:
            raise
        return Unreadable(damaged)


def _whose(what: str) -> str:
    if _present.tenant is None:
        # Looked for once a statement: it may have a cell in each of ten thousand rows.
        _present.tenant = _said(*_present.statement)
    found: str | None = _present.tenant
    if found is None:
        raise LookupError(f"whose {what}? Ask the Database `of` a tenant, or name one tenant in the statement")
    return found


def _said(statement: Any, many: Any, one: Any) -> str | None:  # Any: as in `note`
    given = [*(many or ()), *([one] if one else [])]
    if isinstance(statement, Insert):
        return _inserted(statement, given)
    parts: Any = visitors.iterate(statement)
    found = {_value(each.right, given) for each in parts if _names_tenant(each)}
    return found.pop() if len(found) == 1 else None


def _names_tenant(part: Any) -> bool:  # Any: whatever a statement is made of
    if not isinstance(part, BinaryExpression) or part.operator is not eq:
        return False
    return getattr(part.left, "key", None) == OPTION and isinstance(part.right, BindParameter)


def _value(parameter: Any, given: list[Any]) -> str | None:
    """Of a parameter, what this execution gives it, or what stands in the statement."""
    said = {row[parameter.key] for row in given if parameter.key in row}
    value: str | None = said.pop() if len(said) == 1 else parameter.value
    return value


def _inserted(statement: Insert, given: list[Any]) -> str | None:
    values = _values(statement)
    if OPTION in values:
        parameter = values[OPTION]
        return _value(parameter, given) if isinstance(parameter, BindParameter) else None
    tenants = {row.get(OPTION) for row in given}
    return tenants.pop() if len(tenants) == 1 else None


def _values(statement: Insert) -> dict[str, Any]:
    # By names, or by columns.
    given: Any = statement._values or {}
    return {getattr(column, "key", column): value for column, value in given.items()}


@functools.lru_cache(maxsize=64)
def sealed_of(table: Any) -> tuple[Any, ...]:  # Any: whatever has columns
    return tuple(column for column in table.c if is_sealed(column))


def _cells(dialect: Dialect) -> Cells:
    found: Cells = getattr(dialect, CELLS)
    return found
