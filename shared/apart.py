"""Rows of many tenants in one transaction: what cannot be opened or sealed of one harms none of the others."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, NestedTransaction
from sqlalchemy.exc import StatementError

from shared.errors import Damaged
from shared.log import logger

T = TypeVar("T")

log = logger("apart")


@contextmanager
def step(sql: Connection) -> Iterator[NestedTransaction]:
    """A savepoint. Damaged comes out of it as it was raised: SQLAlchemy wraps it where a cell was to be sealed."""
    try:
        with sql.begin_nested() as begun:
            yield begun
    except StatementError as cause:
        if isinstance(cause.orig, Damaged):
            raise cause.orig from cause
        raise


def each(sql: Connection, rows: Iterable[Any], act: Callable[[Any], T]) -> list[T]:  # Any: rows of one's own columns
    """What came of each row, which has a `tenant`; of one of a tenant whose cells or keys are damaged nothing does."""
    came: list[T] = []
    for row in rows:
        try:
            with step(sql):
                came.append(act(row))
        except Damaged as damaged:
            log.error("damaged", tenant=row.tenant, detail=damaged.detail)
    return came
