"""Columns whose cells are sealed: a type, and a listener that tells it whose row is written.

A type is told a value and nothing of its row. So the listener looks at the statement first: the tenant is the
connection's (`Database.of`), that of the rows that are inserted, or the one that the condition of an update names.
"""

import functools
import threading
from operator import eq
from typing import Any

from sqlalchemy import BinaryExpression, Connection, Dialect, Insert, Text, Update
from sqlalchemy.sql import visitors
from sqlalchemy.types import TypeDecorator

from shared.sealing.cells import Cells
from shared.tenancy import OPTION

# Where a dialect, of which an engine has its own, keeps what seals.
CELLS = "etude_cells"

_whose = threading.local()


class Sealed(TypeDecorator[str]):
    """Text that lies sealed. `what` is what it holds: columns of one `what` may be copied into each other."""

    impl = Text
    cache_ok = True

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        tenant = getattr(_whose, "tenant", None)
        if tenant is None:
            raise LookupError(f"whose {self.what}? Ask the Database `of` a tenant, or insert rows that name one")
        return _cells(dialect).seal(tenant, self.what, value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else _cells(dialect).open(self.what, value)


def note(sql: Connection, statement: Any, many: Any, one: Any, options: Any) -> None:  # Any: as SQLAlchemy has it
    """A listener of `before_execute`, after that of the tenancy: whose rows a statement writes, if it says so."""
    # Others are not looked at: while a cell is sealed, its key is looked for by statements of this very thread.
    if isinstance(statement, Insert | Update) and _is_sealed(statement.table):
        _whose.tenant = sql.get_execution_options().get(OPTION) or _said(statement, many, one)


def _said(statement: Insert | Update, many: Any, one: Any) -> str | None:
    return _inserted(statement, many, one) if isinstance(statement, Insert) else _asked_for(statement)


def _asked_for(statement: Update) -> str | None:
    """The tenant whose rows alone are changed, by the condition of the statement."""
    condition = statement.whereclause
    for each in () if condition is None else visitors.iterate(condition):
        if isinstance(each, BinaryExpression) and each.operator is eq and each.left is statement.table.c.tenant:
            found: str | None = getattr(each.right, "value", None)
            return found
    return None


@functools.cache
def _is_sealed(table: Any) -> bool:  # Any: whatever rows are written to
    return any(isinstance(column.type, Sealed) for column in table.c)


def _inserted(statement: Insert, many: Any, one: Any) -> str | None:
    # By names, or by columns.
    given = {getattr(column, "key", column): value for column, value in (statement._values or {}).items()}
    if "tenant" in given:
        return getattr(given["tenant"], "value", None)
    rows = [*(many or ()), *([one] if one else [])]
    tenants = {row.get("tenant") for row in rows}
    return tenants.pop() if len(tenants) == 1 else None


def _cells(dialect: Dialect) -> Cells:
    found: Cells = getattr(dialect, CELLS)
    return found
