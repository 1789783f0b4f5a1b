"""What a client asks about its own tenant: keys, limits, the encryption key, the audit log."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from etude.jobs import Job
from etude.transport import Transport

Json = dict[str, Any]


class Tenancy:
    """The part of a client that is about who may do what, how much, and who did."""

    _transport: Transport

    def create_key(self, name: str, *, scope: str = "read", expires_in_days: int | None = None) -> Json:
        """Make a key of at most one's own scope; its `secret` cannot be read again."""
        life = {} if expires_in_days is None else {"expires_in_days": expires_in_days}
        return self._with_secret(self._transport.post("/v1/keys", {"name": name, "scope": scope, **life}))

    def rotate_key(self, key_id: str, *, grace_s: int | None = None) -> Json:
        """Make a key in the place of another, which is good for `grace_s` more (a day without it)."""
        body = {} if grace_s is None else {"grace_s": grace_s}
        return self._with_secret(self._transport.post(f"{_key(key_id)}/rotate", body))

    def _with_secret(self, made: Json) -> Json:
        # The answer was lost on its way, and a repeat does not tell the secret: nobody has it, so it is replaced.
        while made["secret"] is None:
            made = self._transport.post(f"{_key(made['id'])}/rotate", {"grace_s": 0})
        return made

    def revoke_key(self, key_id: str) -> None:
        """End a key; again changes nothing."""
        self._transport.delete(_key(key_id))

    def key(self, key_id: str) -> Json:
        said: Json = self._transport.get(_key(key_id)).json()
        return said

    def keys(self, *, limit: int | None = None) -> Iterator[Json]:
        """The newest first, without their secrets."""
        return self._transport.listed("/v1/keys", {}, limit)

    def limits(self) -> Json:
        """What the tenant may have, and what of it is used."""
        said: Json = self._transport.get("/v1/limits").json()
        return said

    def encryption_key(self) -> Json:
        """Which key wraps the keys of the tenant's files, and since when."""
        said: Json = self._transport.get("/v1/encryption-key").json()
        return said

    def rotate_encryption_key(self) -> Job:
        """Have a newer one made; returns the job that does it at once."""
        return Job(self._transport, self._transport.post("/v1/encryption-key/rotate"))

    def audit_log(self, *, limit: int | None = None, **filters: str | None) -> Iterator[Json]:
        """What was changed and refused, the newest first; filters: `key`, `action`, `object`, `since`, `until`."""
        names = {"since": "from", "until": "to"}
        given = {names.get(name, name): value for name, value in filters.items() if value is not None}
        return self._transport.listed("/v1/audit-log", given, limit)


def _key(key_id: str) -> str:
    return f"/v1/keys/{quote(key_id, safe='')}"
