"""A PostgreSQL connection that gives up: a frozen server, or one behind a dead network, answers nothing for ever."""

import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen

from shared.tenancy import TENANT

# The server itself ends a statement before that; whoever waits longer waits for nobody.
STATEMENT_S = 15
ANSWER_S = STATEMENT_S + 5.0


class Connection(psycopg.Connection[Any]):
    """Closes itself when the server does not answer within ANSWER_S, and says so as an OperationalError."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        began = time.monotonic()
        try:
            return super().wait(gen, interval, ANSWER_S if timeout is None else timeout)
        except psycopg.OperationalError as cause:
            if timeout is not None or time.monotonic() - began < ANSWER_S:
                raise
            self.close()
            raise psycopg.OperationalError(f"the server did not answer within {ANSWER_S:g} s") from cause


def connector(tenant: str) -> Callable[..., Connection]:
    """A listener of SQLAlchemy's `do_connect`; what is not told whose rows it may see sees those of `tenant`."""

    def connect(_: Any, __: Any, arguments: list[Any], named: dict[str, Any]) -> Connection:  # Any: as SQLAlchemy calls
        # A worker that is frozen in the middle of a transaction would hold its rows, and with them every scheduler.
        idle = f"-c idle_in_transaction_session_timeout={STATEMENT_S * 1000}"
        limits = f"-c lock_timeout=5000 -c statement_timeout={STATEMENT_S * 1000} {idle}"
        # Of NOBODY, too: what a role or a database has as its default does not count.
        options = f"{named.get('options', '')} {limits} -c {TENANT}={tenant}"
        return Connection.connect(*arguments, **{"connect_timeout": 3, **named, "options": options})

    return connect
