"""What the child is told of one file: its rules, its listeners, and the keys of both, the only ones that it gets."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True, repr=False)
class Plan:
    """Of one file. `listeners` are the columns' roles as they were named, where the file is one of plays."""

    rules: Json
    key: str = ""
    listeners: Json | None = None
    listeners_key: str = ""
    # Of an item table, which has some of the columns of the plays, or none.
    may_lack: bool = False

    def line(self) -> bytes:
        """As the child reads it, before the file."""
        return json.dumps(asdict(self)).encode() + b"\n"


def read(line: bytes) -> Plan:
    told: Mapping[str, Any] = json.loads(line)
    return Plan(**told)
