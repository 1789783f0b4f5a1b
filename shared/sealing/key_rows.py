"""The rows of the key store: made, found, destroyed. Nothing is remembered here."""

import hashlib
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)

from shared import ids
from shared.database import now
from shared.errors import Unavailable
from shared.sealing.key_tables import object_keys, plain_files, store, tenant_keys
from shared.sealing.root_keys import RootKeys
from shared.sealing.segments import KEY_BYTES, Tampered
from shared.sealing.wrapping import bind, unwrap, wrap

FORMAT = 1
# Of what belongs to no tenant.
NOBODY = "-"
ROWS_AT_ONCE = 1000


@dataclass(frozen=True, repr=False)
class Store:
    """Which store this is, and the secret that vouches for its list of plain files."""

    id: str
    secret: bytes


@dataclass(frozen=True, repr=False)
class ObjectKey:
    """The key of one file, and what the file is bound to."""

    place: str
    id: str
    secret: bytes
    is_written: bool

    @property
    def bound(self) -> bytes:
        return bind("file", tenant_of(self.place), self.place, self.id)


@dataclass(frozen=True)
class Found:
    """What is known of a place: its key; whether it may be read as it lies; whether its key was destroyed."""

    key: ObjectKey | None = None
    is_plain: bool = False
    is_destroyed: bool = False


def tenant_of(place: str) -> str:
    """Whose file it is, by its place alone."""
    first, _, rest = place.partition("/")
    return rest.partition("/")[0] or NOBODY if first == "t" else NOBODY


def is_within(place: str, folder: str) -> bool:
    """Whether it is this place, or lies in this folder (which ends with `/`)."""
    return place == folder or (folder.endswith("/") and place.startswith(folder))


def begin(sql: Connection, roots: RootKeys, store_id: str, plain: Iterable[str]) -> Store:
    """The one row of a store, and the list of what was there before it."""
    made = Store(store_id, os.urandom(KEY_BYTES))
    wrapped = wrap(roots.by_id[roots.primary], made.secret, bind("store", made.id))
    sql.execute(insert(store).values(id=made.id, format=FORMAT, root=roots.primary, wrapped=wrapped, began_at=now()))
    listed = [{"place": place, "mac": _mac(made, place)} for place in plain]
    for first in range(0, len(listed), ROWS_AT_ONCE):
        sql.execute(insert(plain_files), listed[first : first + ROWS_AT_ONCE])
    return made


def read_store(sql: Connection, roots: RootKeys) -> Store | None:
    """The store, once it has begun. Raises Unavailable (`keys_wrong`) for a root key that is not its own."""
    row = sql.execute(select(store)).one_or_none()
    if row is None:
        return None
    demand_root(roots, row.root)
    return Store(row.id, unwrap(roots.by_id[row.root], row.wrapped, bind("store", row.id)))


def demand_roots(sql: Connection, roots: RootKeys) -> None:
    """Raise Unavailable (`keys_wrong`) when a tenant's key is wrapped by a root key that was not given."""
    for root in sql.execute(select(tenant_keys.c.root).distinct()).scalars():
        demand_root(roots, root)


def demand_root(roots: RootKeys, root: str) -> None:
    if root not in roots.by_id:
        raise wrong(
            f"The keys were wrapped with the root key {root}, and given is {' and '.join(roots.by_id)}: set "
            "ETUDE_ROOT_KEY or ETUDE_ROOT_KEY_FILE to the right one. Nothing was changed."
        )


def wrong(said: str) -> Unavailable:
    """For the operator to put right; until then nothing is harmed, and everything waits."""
    return Unavailable(said, code="keys_wrong")


def find(sql: Connection, roots: RootKeys, of: Store, place: str) -> Found:
    """Raises Tampered for a key, or an entry of the list, that was changed or moved."""
    row = _row(sql, place)
    if row is not None and row.destroyed_at is not None:
        return Found(is_destroyed=True)
    key = None if row is None else open_key(roots, row)
    if key is not None and key.is_written:
        return Found(key)
    mac = sql.execute(select(plain_files.c.mac).where(plain_files.c.place == place)).scalar()
    if mac is not None and not hmac.compare_digest(mac, _mac(of, place)):
        raise Tampered
    return Found(key, is_plain=mac is not None)


def make(sql: Connection, roots: RootKeys, place: str) -> ObjectKey:
    """The key of a place, made unless it has one. Raises IntegrityError when somebody made it at the same moment."""
    row = _row(sql, place)
    if row is not None and row.destroyed_at is None:
        return open_key(roots, row)
    tenant = tenant_of(place)
    above, above_secret = newest_tenant_key(sql, roots, tenant) or make_tenant_key(sql, roots, tenant)
    key = ObjectKey(place, ids.new("ok"), os.urandom(KEY_BYTES), is_written=False)
    wrapped = wrap(above_secret, key.secret, _bound_in(key.place, key.id))
    made = {"of": place, "key": key.id, "above": above, "sealed": wrapped}
    sql.execute(_MAKE if row is None else _MAKE_AGAIN, made)
    return key


def say_written(sql: Connection, key: ObjectKey) -> bool:
    if sql.execute(_SAY_WRITTEN, {"of": key.place, "key": key.id}).rowcount == 0:
        return False
    if not key.is_written:
        sql.execute(_NO_LONGER_PLAIN, {"of": key.place})
    return True


def destroy(sql: Connection, place: str) -> int:
    """Take the keys away; their rows stay until their files went. A plain file's row is made, for the same reason."""
    chosen, plain = _within(object_keys.c.place, place), _within(plain_files.c.place, place)
    unknown = select(plain_files.c.place, literal(""), now(), now()).where(
        plain, ~exists().where(object_keys.c.place == plain_files.c.place)
    )
    sql.execute(insert(object_keys).from_select(["place", "id", "created_at", "destroyed_at"], unknown))
    sql.execute(delete(plain_files).where(plain))
    dead = {"wrapped": None, "tenant_key": None, "destroyed_at": now()}
    count = sql.execute(update(object_keys).where(chosen, object_keys.c.destroyed_at.is_(None)).values(dead)).rowcount
    if place == f"t/{tenant_of(place)}/":
        sql.execute(delete(tenant_keys).where(tenant_keys.c.tenant == tenant_of(place)))
    return count


def forget(sql: Connection, place: str) -> None:
    sql.execute(delete(object_keys).where(_within(object_keys.c.place, place), object_keys.c.destroyed_at.is_not(None)))


def list_dead(sql: Connection, *, after_s: float, at_most: int) -> list[str]:
    """Places whose keys were destroyed, and whose files may still be there."""
    old = object_keys.c.destroyed_at < now() - after_s
    return list(sql.execute(select(object_keys.c.place).where(old).limit(at_most)).scalars())


def list_unwritten(sql: Connection, *, after_s: float, at_most: int) -> list[str]:
    """Places that got a key, and of which nobody has said since that a file is there."""
    old = object_keys.c.written_at.is_(None) & object_keys.c.destroyed_at.is_(None)
    # What still lies open has a key as soon as somebody begins to seal it.
    old &= ~exists().where(plain_files.c.place == object_keys.c.place)
    chosen = select(object_keys.c.place).where(old, object_keys.c.created_at < now() - after_s)
    return list(sql.execute(chosen.limit(at_most)).scalars())


def open_key(roots: RootKeys, row: Row[Any]) -> ObjectKey:
    """Raises Tampered unless the row's key was made for this place, under this id, by this tenant's key."""
    if row.wrapped is None or row.tenant != tenant_of(row.place):
        raise Tampered
    above = open_tenant_key(roots, row.tenant_key, row.tenant, row.root, row.tenant_wrapped)
    secret = unwrap(above, row.wrapped, _bound_in(row.place, row.id))
    return ObjectKey(row.place, row.id, secret, is_written=row.written_at is not None)


def open_tenant_key(roots: RootKeys, id: str, tenant: str, root: str, wrapped: bytes) -> bytes:
    demand_root(roots, root)
    return unwrap(roots.by_id[root], wrapped, bind("tenant", tenant, id))


def newest_tenant_key(sql: Connection, roots: RootKeys, tenant: str) -> tuple[str, bytes] | None:
    """The id and the secret of the key that wraps what is new of a tenant."""
    row = sql.execute(_NEWEST, {"of": tenant}).first()
    return None if row is None else (row.id, open_tenant_key(roots, row.id, tenant, row.root, row.wrapped))


def make_tenant_key(sql: Connection, roots: RootKeys, tenant: str) -> tuple[str, bytes]:
    """The next one. Raises IntegrityError when somebody made it at the same moment."""
    mine = select(func.max(tenant_keys.c.generation)).where(tenant_keys.c.tenant == tenant)
    generation = (sql.execute(mine).scalar() or 0) + 1
    id, secret = ids.new("tk"), os.urandom(KEY_BYTES)
    wrapped = wrap(roots.by_id[roots.primary], secret, bind("tenant", tenant, id))
    values = {
        "id": id,
        "tenant": tenant,
        "generation": generation,
        "root": roots.primary,
        "wrapped": wrapped,
        "created_at": now(),
    }
    sql.execute(insert(tenant_keys).values(values))
    return id, secret


def rewrap(row: Row[Any], roots: RootKeys, above_secret: bytes) -> bytes:
    """An object's key under another key of its tenant."""
    return wrap(above_secret, open_key(roots, row).secret, _bound_in(row.place, row.id))


def joined() -> Any:  # Any: a select of many columns
    """Keys of objects with the keys that wrap them."""
    return select(
        object_keys, tenant_keys.c.tenant, tenant_keys.c.root, tenant_keys.c.wrapped.label("tenant_wrapped")
    ).outerjoin(tenant_keys, tenant_keys.c.id == object_keys.c.tenant_key)


def _row(sql: Connection, place: str) -> Row[Any] | None:
    found: Row[Any] | None = sql.execute(_ROW, {"of": place}).one_or_none()
    return found


# Built once: putting a statement together costs more than running it, and each stored file takes all of these.
_ROW = joined().where(object_keys.c.place == bindparam("of"))
_NEWEST = (
    select(tenant_keys)
    .where(tenant_keys.c.tenant == bindparam("of"))
    .order_by(tenant_keys.c.generation.desc())
    .limit(1)
)
_MADE: dict[str, Any] = {
    "id": bindparam("key"), "tenant_key": bindparam("above"), "wrapped": bindparam("sealed"), "created_at": now(),
    "written_at": None, "destroyed_at": None,
}  # fmt: skip
_MAKE = insert(object_keys).values(place=bindparam("of"), **_MADE)
_MAKE_AGAIN = update(object_keys).where(object_keys.c.place == bindparam("of")).values(_MADE)
_SAY_WRITTEN = (
    update(object_keys)
    .where(object_keys.c.place == bindparam("of"), object_keys.c.id == bindparam("key"))
    .where(object_keys.c.destroyed_at.is_(None))
    .values(written_at=now())
)
_NO_LONGER_PLAIN = delete(plain_files).where(plain_files.c.place == bindparam("of"))


def _bound_in(place: str, id: str) -> bytes:
    return bind("object", tenant_of(place), place, id)


def _within(column: Column[str], place: str) -> ColumnElement[bool]:
    if not place.endswith("/"):
        return column == place
    # The sign after the slash: what lies between is the folder's.
    return (column >= place) & (column < place[:-1] + "0")


def _mac(of: Store, place: str) -> bytes:
    return hmac.digest(of.secret, bind("plain", place), hashlib.sha256)
