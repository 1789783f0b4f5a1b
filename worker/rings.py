"""What a worker hears: rings, and nothing else that lies in Redis.

Celery ends the whole worker for bytes that are no message, and acts on what a message says beside its task: a time
limit, a compression, what to call next. So nothing of what was received is handed on but that somebody has rung.
"""

import base64
import binascii
import json
import uuid
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis, virtual

from shared.log import logger
from shared.queue import QUEUES, TASK

# Ours have some 1,300 bytes, with the name of the host in them.
RING_BYTES = 8192
JSON = {"content-type": "application/json", "content-encoding": "utf-8"}
# What reading bytes as kombu's JSON can raise.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)

log = logger("rings")


class Dropped:
    """How many messages were no rings: counted by the thread that hears, told by the one that beats."""

    def __init__(self) -> None:
        self._counted = self._told = 0

    def count(self) -> None:
        self._counted += 1

    def untold(self) -> int:
        return self._counted - self._told

    def tell(self, count: int) -> None:
        """Say that so many were written down."""
        self._told += count


dropped = Dropped()


def hear_nothing_else() -> None:
    """Have every connection of this process that is made from now on listen as it is written here."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"


def read(item: bytes) -> str | None:
    """The queue for which these bytes ring, None if they are no ring."""
    if len(item) > RING_BYTES:
        return None
    try:
        message = json.loads(item)
        if not _is_plain(message):
            return None
        asked = json.loads(base64.b64decode(message["body"], validate=True))
        (name,), named, _ = asked
    except (*UNREADABLE, binascii.Error):
        return None
    return name if name in QUEUES and named == {} else None


def _is_plain(message: Any) -> bool:  # Any: whatever JSON says
    if message["headers"]["task"] != TASK or "compression" in message["headers"]:
        return False
    return all(message[field] == said for field, said in JSON.items())


def ring(name: str) -> dict[str, Any]:
    """A message of our own in place of one that was received, of which no byte is in it."""
    own = str(uuid.uuid4())
    body = json.dumps([[name], {}, dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))])
    delivery = {"exchange": "", "routing_key": name}
    return {
        **JSON,
        "body": base64.b64encode(body.encode()).decode(),
        "headers": {"lang": "py", "task": TASK, "id": own, "root_id": own},
        "properties": {"delivery_tag": own, "delivery_info": delivery, "body_encoding": "base64", "delivery_mode": 2},
    }


class QoS(redis.QoS):
    """What was delivered and not acknowledged."""

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        try:
            super().restore_by_tag(tag, client, leftmost)
        except UNREADABLE:
            self._forget(tag, client)
            _drop("unacknowledged")

    def _forget(self, tag: Any, client: Any) -> None:
        with self.channel.conn_or_acquire(client) as connection:
            connection.hdel(self.unacked_key, tag)
            connection.zrem(self.unacked_index_key, tag)


class Channel(redis.Channel):
    """Reads as kombu 5.7 does, but does not believe what it reads."""

    QoS = QoS

    def _brpop_read(self, **options: Any) -> bool:
        try:
            found = self._take(options)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if not found:
            raise virtual.Empty
        lay_in = found[0].decode(errors="replace").rsplit(self.sep, 1)[0]
        self._queue_cycle.rotate(lay_in)
        name = read(found[1])
        if name != lay_in:
            _drop(lay_in)
            return True
        self.connection._deliver(ring(lay_in), lay_in)
        return True

    def _take(self, options: dict[str, Any]) -> Any:
        try:
            return self.client.parse_response(self.client.connection, "BRPOP", **options)
        except self.connection_errors:
            # So that the next round connects again.
            self.client.connection.disconnect()
            raise


class Transport(redis.Transport):
    """Redis, where this worker listens."""

    Channel = Channel


def _drop(queue: str) -> None:
    dropped.count()
    # The rest of a flood is in the count, which each beat writes down.
    if dropped.untold() == 1:
        log.warning("no_ring", queue=queue)
