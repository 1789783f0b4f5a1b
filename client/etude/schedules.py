"""A schedule as a client sees it: pause it, run it now, ask when it is due, and what became of it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from etude.jobs import Job
from etude.transport import Transport

Json = dict[str, Any]
List = Callable[[str, Json, int | None], Iterator[Json]]


class Schedule:
    """One schedule; its properties show what was last seen."""

    def __init__(self, transport: Transport, raw: Json, list_: List) -> None:
        self._transport, self._list = transport, list_
        self.raw = raw

    def __repr__(self) -> str:
        return f"<Schedule {self.name} {self.state}>"

    @property
    def id(self) -> str:
        return str(self.raw["id"])

    @property
    def name(self) -> str:
        return str(self.raw["name"])

    @property
    def state(self) -> str:
        """`active` or `paused`."""
        return str(self.raw["state"])

    @property
    def error(self) -> Json | None:
        """Why it paused itself."""
        error: Json | None = self.raw["error"]
        return error

    @property
    def next_at(self) -> datetime | None:
        """When it is due; None while it is paused."""
        said: str | None = self.raw["next_at"]
        return None if said is None else datetime.fromisoformat(said)

    def change(self, **fields: Any) -> "Schedule":
        """Change any of `name`, `cron`, `timezone`, `job`, `overlap`, `misfire`, `misfire_grace_s`."""
        self.raw = self._transport.patch(self._address, fields)
        return self

    def pause(self) -> "Schedule":
        """Let it submit nothing until it is resumed."""
        self.raw = self._transport.post(f"{self._address}/pause")
        return self

    def resume(self) -> "Schedule":
        """Go on from now; what would have come meanwhile is not made up for."""
        self.raw = self._transport.post(f"{self._address}/resume")
        return self

    def run(self) -> Job:
        """Submit its job now, whatever its state and overlap."""
        return Job(self._transport, self._transport.post(f"{self._address}/run"))

    def next(self, count: int = 10, *, after: datetime | None = None) -> list[datetime]:
        """The moments that come next, up to 100, from now or from `after`, which must name its zone."""
        query: Json = {"n": count, **({"from": after.isoformat()} if after is not None else {})}
        said = self._transport.get(f"{self._address}/next", query=query).json()
        return [datetime.fromisoformat(each) for each in said["data"]]

    def runs(self, *, limit: int | None = None) -> Iterator[Json]:
        """What became of its moments, the newest first: `due_at`, `outcome`, `job` (`id`, `state`), `error`."""
        return self._list(f"{self._address}/runs", {}, limit)

    def delete(self) -> None:
        """Forget it and its runs; its jobs stay."""
        self._transport.delete(self._address)

    @property
    def _address(self) -> str:
        return address(self.id)


def address(name_or_id: str) -> str:
    return f"/v1/schedules/{quote(name_or_id, safe='')}"
