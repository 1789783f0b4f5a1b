"""A webhook as a client sees it: change it, try it, and see what arrived."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from etude.schedules import List
from etude.transport import Transport

Json = dict[str, Any]


class Webhook:
    """One webhook; its properties show what was last seen."""

    def __init__(self, transport: Transport, raw: Json, list_: List) -> None:
        self._transport, self._list = transport, list_
        self.raw = raw

    def __repr__(self) -> str:
        # Never the secret: a repr ends up in logs.
        return f"<Webhook {self.id} {self.state}>"

    @property
    def id(self) -> str:
        return str(self.raw["id"])

    @property
    def url(self) -> str:
        return str(self.raw["url"])

    @property
    def state(self) -> str:
        """`active` or `disabled`."""
        return str(self.raw["state"])

    @property
    def error(self) -> Json | None:
        """Why the service switched it off."""
        error: Json | None = self.raw["error"]
        return error

    @property
    def secret(self) -> str | None:
        """What signatures are made with; told only when it is made, by `create_webhook` and `rotate`."""
        secret: str | None = self.raw.get("secret")
        return secret

    def change(self, **fields: Any) -> "Webhook":
        """Change any of `url`, `events`, `description`, `state`."""
        self.raw = self._transport.patch(self._address, fields)
        return self

    def rotate(self) -> "Webhook":
        """Make a new secret; the old one is signed with as well for 24 h."""
        self.raw = self._transport.post(f"{self._address}/rotate")
        return self

    def ping(self) -> Json:
        """Have a `webhook.ping` sent; returns the delivery."""
        return self._transport.post(f"{self._address}/ping")

    def deliveries(self, *, state: str | None = None, limit: int | None = None) -> Iterator[Json]:
        """What was to be told, the newest first; `state` is waiting, delivered or failed."""
        return self._list(f"{self._address}/deliveries", {"state": state} if state else {}, limit)

    def delivery(self, delivery_id: str) -> Json:
        """One delivery with its `body` and its `tries`."""
        said: Json = self._transport.get(self._delivery(delivery_id)).json()
        return said

    def redeliver(self, delivery_id: str) -> Json:
        """Have a delivery tried now, however it ended; its id stays the same."""
        return self._transport.post(f"{self._delivery(delivery_id)}/redeliver")

    def delete(self) -> None:
        """Forget it and its deliveries."""
        self._transport.delete(self._address)

    def _delivery(self, delivery_id: str) -> str:
        return f"{self._address}/deliveries/{quote(delivery_id, safe='')}"

    @property
    def _address(self) -> str:
        return address(self.id)


def address(webhook_id: str) -> str:
    return f"/v1/webhooks/{quote(webhook_id, safe='')}"
