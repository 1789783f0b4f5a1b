"""Whose rows a statement sees: said in each statement that a tenant's connection carries, and to PostgreSQL beneath it.

A Database is asked `of` a tenant. From then on `narrow` puts the condition into every statement, so that none can be
written without it, and PostgreSQL's row-level security shows the transaction no other row (docs/decisions/0022). SQLite
has no such security: there the condition and the composite foreign keys are the two layers.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Alias, ColumnElement, Connection, Delete, FromClause, Insert, Join, Select, Table, Update

# What a Database is opened for: the requests of web name their tenant one by one.
NOBODY = ""
# Processes that serve all tenants: workers until they have claimed, the scheduler, those that answer and deliver.
EVERYONE = "*"
# The settings of PostgreSQL that the policies read.
TENANT, KEY = "etude.tenant", "etude.key"
# The option of a connection under which its tenant stands.
OPTION = "tenant"

Statement = Any  # whatever SQLAlchemy executes


def owned(table: FromClause, tenant: Any) -> ColumnElement[bool]:  # Any: an id, a parameter or a column
    """The rows of a table, or of an alias of one, that are a tenant's."""
    mine: ColumnElement[bool] = table.c.tenant == tenant
    return mine


def narrow(
    sql: Connection, statement: Statement, many: Any, one: Any, options: Any
) -> tuple[Statement, Any, Any]:  # Any: as SQLAlchemy's event `before_execute` has it
    """A listener: the statements of a connection that is a tenant's become `of_one`."""
    tenant = sql.get_execution_options().get(OPTION)
    if tenant is None:
        return statement, many, one
    if isinstance(statement, Insert):
        # A parameter of the column's name would go before what stands in the statement.
        many, one = [_owned_row(row, tenant) for row in many], _owned_row(one, tenant)
    return of_one(statement, tenant), many, one


def _owned_row(row: Any, tenant: str) -> Any:  # Any: parameters by name
    return {**row, OPTION: tenant} if OPTION in row else row


def of_one(statement: Statement, tenant: str) -> Statement:
    """The same statement, of one tenant's rows alone.

    What stands in it in brackets, or beside it in an outer join, says so itself.
    """
    if isinstance(statement, Insert):
        return statement.values(tenant=tenant) if _has_tenant(statement.table) else statement
    if isinstance(statement, Select):
        found = [table for each in _sources(statement) for table in _tables(each)]
    elif isinstance(statement, Update | Delete):
        found = list(_tables(statement.table))
    else:
        return statement
    return statement.where(*(owned(table, tenant) for table in found))


def _sources(statement: Select[Any]) -> list[FromClause]:
    # As its get_final_froms, which puts the whole statement into words first, and knows no function of ours.
    make: Any = statement._compile_state_factory  # Any: it wants a compiler, and asks it nothing
    found: list[FromClause] = make(statement, None)._get_display_froms()
    return found


def _tables(source: FromClause) -> Iterator[FromClause]:
    if isinstance(source, Join):
        yield from _tables(source.left)
        if not source.isouter:
            yield from _tables(source.right)
    elif _has_tenant(source):
        yield source


def _has_tenant(source: FromClause) -> bool:
    table = source.element if isinstance(source, Alias) else source
    return isinstance(table, Table) and "tenant" in table.c
