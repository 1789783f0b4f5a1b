"""API keys: `etude_<id>_<secret>_<checksum>`. Stored is a keyed digest; the secret is shown once."""

import hashlib
import hmac
import secrets
import threading
import time
import zlib
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Row, bindparam, func, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from shared import ids
from shared.database import Database, now
from shared.errors import Unauthorised, Unavailable
from shared.log import logger
from shared.tables import keys, tenants

log = logger("keys")

READ, SUBMIT, ADMIN = "read", "submit", "admin"
# Each scope holds the ones before it.
RANKS = {READ: 0, SUBMIT: 1, ADMIN: 2}

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_SIGNS = 32  # 62^32 is 190 bits
CHECK_SIGNS = 6
# How long a key that was revoked may still open doors, and what a database look-up is spared for.
CACHED_S = 5.0
CACHE_SIZE = 10_000
# When a key was used last is told to the hour: enough to find one that nobody uses, and one write an hour.
USED_S = 3600
REST_S = 60.0
ONE_ANSWER = "Send a valid key: `Authorization: Bearer etude_…`."


@dataclass(frozen=True)
class Caller:
    """Who calls: the tenant, the key, and how far it reaches."""

    tenant: str
    key_id: str
    rank: int
    is_suspended: bool = False


class KeyRefused(Unauthorised):
    """A key that has been revoked or has expired; the answer says no more than of any other."""

    def __init__(self, tenant: str, key_id: str) -> None:
        super().__init__(ONE_ANSWER)
        self.tenant, self.key_id = tenant, key_id


def create(sql: Connection, tenant: str, *, name: str, scope: str, pepper: str) -> str:
    """Make a key that does not expire and return it; it cannot be read again."""
    return make(sql, tenant, name=name, scope=scope, pepper=pepper)[1]


def make(
    sql: Connection, tenant: str, *, name: str, scope: str, pepper: str, expires_in_s: float | None = None
) -> tuple[Row[tuple[object, ...]], str]:
    """Make a key; returns its row, and the key itself, which cannot be read again."""
    key_id = ids.new("key")
    secret = "".join(secrets.choice(BASE62) for _ in range(SECRET_SIGNS))
    digest = _digest(pepper, secret)
    row = {"id": key_id, "tenant": tenant, "name": name, "digest": digest, "scopes": [scope], "created_at": now()}
    expires_at = None if expires_in_s is None else now() + expires_in_s
    made = sql.execute(insert(keys).values(**row, expires_at=expires_at).returning(keys)).one()
    body = f"etude_{key_id.removeprefix('key_')}_{secret}"
    return made, f"{body}_{_checksum(body)}"


def is_living() -> ColumnElement[bool]:
    """Whether a key opens anything at this moment."""
    return keys.c.revoked_at.is_(None) & (keys.c.expires_at.is_(None) | (keys.c.expires_at > now()))


def demand_living(sql: Connection, caller: Caller) -> None:
    """Raise KeyRefused when the key has been revoked or has expired since the call was admitted."""
    mine = (keys.c.id == caller.key_id) & (keys.c.tenant == caller.tenant)
    if sql.execute(select(keys.c.id).where(mine, is_living())).first() is None:
        raise KeyRefused(caller.tenant, caller.key_id)


def ensure_tenant(sql: Connection, name: str) -> str:
    """The id of the tenant of that name, made if it is new."""
    found = sql.execute(select(tenants.c.id).where(tenants.c.name == name)).scalar()
    if found is not None:
        return str(found)
    tenant = ids.new("ten")
    sql.execute(insert(tenants).values(id=tenant, name=name, created_at=now()))
    return tenant


class Keyring:
    """Tells who a key belongs to; remembers the answer for CACHED_S."""

    def __init__(self, database: Database, pepper: str) -> None:
        self._database, self._pepper = database, pepper
        self._known: dict[str, tuple[float, Caller]] = {}
        self._lock = threading.Lock()
        self._notes_again_at = 0.0

    def has_known(self, authorization: str | None) -> bool:
        """Whether this header has opened something here before; asks nobody."""
        _, _, key = (authorization or "").partition(" ")
        return _digest(self._pepper, key) in self._known

    def identify(self, authorization: str | None) -> Caller:
        """The caller behind an Authorization header. Raises Unauthorised, in one form for every reason."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorised(ONE_ANSWER)
        # Never the key itself in memory for longer than the request: its digest is as good a name.
        name = _digest(self._pepper, key)
        known = self._known.get(name)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        caller = self._look_up(key)
        with self._lock:
            if len(self._known) >= CACHE_SIZE:
                self._known.clear()
            self._known[name] = (time.monotonic() + CACHED_S, caller)
        return caller

    def _look_up(self, key: str) -> Caller:
        prefix, key_id, secret, checksum = [*key.split("_"), "", "", ""][:4]
        body = f"{prefix}_{key_id}_{secret}"
        # The checksum spares the database what is a typing error or another service's key.
        if (
            prefix != "etude"
            or not key_id.isalnum()
            or not key.isascii()
            or key != f"{body}_{checksum}"
            or not hmac.compare_digest(checksum, _checksum(body))
        ):
            raise Unauthorised(ONE_ANSWER)
        # Whose key it is, is what is asked: of all keys the statement sees this one.
        with self._database.of_key(f"key_{key_id}").reading() as sql:
            row = sql.execute(_FIND, {"key": f"key_{key_id}"}).one_or_none()
        # The same work whether or not the id is known.
        stored = row.digest if row is not None else "0" * 64
        if not hmac.compare_digest(stored, _digest(self._pepper, secret)) or row is None:
            raise Unauthorised(ONE_ANSWER)
        if not row.is_living:
            raise KeyRefused(row.tenant, row.id)
        if row.last_used_at is None or row.at - row.last_used_at >= USED_S:
            self._note_use(row.tenant, row.id)
        rank = max(RANKS[scope] for scope in row.scopes)
        return Caller(tenant=row.tenant, key_id=row.id, rank=rank, is_suspended=row.suspended_at is not None)

    def _note_use(self, tenant: str, key_id: str) -> None:
        if time.monotonic() < self._notes_again_at:
            return
        try:
            with self._database.of(tenant).transaction() as sql:
                hour = func.floor(now() / USED_S) * USED_S
                mine = (keys.c.id == key_id) & (keys.c.tenant == tenant)
                sql.execute(update(keys).where(mine).values(last_used_at=hour))
        except (Unavailable, DBAPIError) as away:
            # Whoever only reads is not refused for it, nor held up again soon.
            self._notes_again_at = time.monotonic() + REST_S
            log.info("key_use_not_noted", key=key_id, reason=type(away).__name__)


_FIND = (
    select(
        keys.c.id, keys.c.tenant, keys.c.digest, keys.c.scopes, keys.c.last_used_at, tenants.c.suspended_at,
        is_living().label("is_living"), now().label("at"),
    )
    .join(tenants, tenants.c.id == keys.c.tenant)
    .where(keys.c.id == bindparam("key"))
)  # fmt: skip


def _digest(pepper: str, secret: str) -> str:
    # Not a slow hash: 190 random bits cannot be guessed, and 50 ms a request would be a way to bring us down.
    return hmac.new(pepper.encode(), secret.encode(), hashlib.sha256).hexdigest()


def _checksum(body: str) -> str:
    number, signs = zlib.crc32(body.encode()), []
    for _ in range(CHECK_SIGNS):
        number, place = divmod(number, 62)
        signs.append(BASE62[place])
    return "".join(reversed(signs))
