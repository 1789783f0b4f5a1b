"""What each action does, step by step; the steps themselves are elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from worker.desk import Desk

Json = dict[str, Any]


@dataclass(frozen=True)
class Ending:
    """What an attempt publishes: rows written by `record` in the finishing transaction, and output files."""

    record: Callable[[Connection], Json]
    files: list[Json] = field(default_factory=list)


ACTIONS: dict[str, Callable[[Desk], Ending]] = {}
