"""How an attempt ends well: what it publishes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

Json = dict[str, Any]


@dataclass(frozen=True)
class Ending:
    """Rows written by `record` in the finishing transaction, which returns the job's result; and output files."""

    record: Callable[[Connection], Json]
    files: list[Json] = field(default_factory=list)
    # The client has asked for its end, and this is what was done by then.
    is_partial: bool = False
    # Nothing has ended: the job waits for its trials, and is held by none.
    is_parked: bool = False
