"""Keys under newer keys: what they wrap is wrapped anew, and no stored file is touched. Said again, it goes on.

Both keys are good meanwhile: each row says by which it is wrapped.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, delete, exists, func, select, update
from sqlalchemy.exc import IntegrityError

from shared.sealing import key_rows
from shared.sealing.key_store import KeyStore
from shared.sealing.key_tables import object_keys, store, tenant_keys
from shared.sealing.wrapping import bind, unwrap, wrap

ROWS_AT_ONCE = 500

Told = Callable[[int], object]


def rotate_root(keys: KeyStore, told: Told = lambda count: None) -> int:
    """Wrap every tenant's key with the first root key of the operator; returns how many were wrapped with others."""
    roots, count = keys.roots, 0
    with keys.transaction() as sql:
        key_rows.demand_roots(sql, roots)
        row = sql.execute(select(store)).one()
        if row.root != roots.primary:
            wrapped = _under_primary(keys, row, bind("store", row.id))
            sql.execute(update(store).values(root=roots.primary, wrapped=wrapped))
    while True:
        with keys.transaction() as sql:
            old = select(tenant_keys).where(tenant_keys.c.root != roots.primary).limit(ROWS_AT_ONCE)
            rows = sql.execute(old.with_for_update()).all()
            for row in rows:
                wrapped = _under_primary(keys, row, bind("tenant", row.tenant, row.id))
                mine = (tenant_keys.c.id == row.id) & (tenant_keys.c.root == row.root)
                sql.execute(update(tenant_keys).where(mine).values(root=roots.primary, wrapped=wrapped))
        if not rows:
            return count
        count += len(rows)
        told(count)


def rotate_tenant(keys: KeyStore, tenant: str, told: Told = lambda count: None) -> int:
    """Wrap the keys of a tenant's files with a new key of the tenant's, and destroy the old one; returns how many.

    One that was begun is ended: no third key is made beside two.
    """
    count = 0
    with keys.transaction() as sql:
        there = sql.execute(select(tenant_keys.c.id).where(tenant_keys.c.tenant == tenant)).all()
        if not there:
            return 0
        if len(there) == 1:
            key_rows.make_tenant_key(sql, keys.roots, tenant)
    while True:
        with keys.transaction() as sql:
            wrapped = _rewrap_some(sql, keys, tenant)
        count += wrapped
        told(count)
        if not wrapped and _has_dropped_old(keys, tenant):
            keys.truncate_log()
            return count


def newest(keys: KeyStore, tenant: str) -> Row[str, int, float] | None:
    """The key of a tenant that wraps what is new, without the key itself; None of one that has stored nothing."""
    told = select(tenant_keys.c.id, tenant_keys.c.generation, tenant_keys.c.created_at)
    with keys.reading() as sql:
        mine = told.where(tenant_keys.c.tenant == tenant).order_by(tenant_keys.c.generation.desc())
        return sql.execute(mine.limit(1)).one_or_none()


def count_left(keys: KeyStore, tenant: str) -> int:
    """How many keys of the tenant's files a rotation has to wrap that begins now, or goes on."""
    mine = select(func.count()).select_from(object_keys.join(tenant_keys, tenant_keys.c.id == object_keys.c.tenant_key))
    of_generation = select(func.count(), func.max(tenant_keys.c.generation)).where(tenant_keys.c.tenant == tenant)
    with keys.reading() as sql:
        generations, last = sql.execute(of_generation).one()
        old = tenant_keys.c.tenant == tenant
        if generations > 1:
            old &= tenant_keys.c.generation < last
        return int(sql.execute(mine.where(old)).scalar_one())


def list_tenants(keys: KeyStore) -> list[str]:
    with keys.reading() as sql:
        return list(sql.execute(select(tenant_keys.c.tenant).distinct().order_by(tenant_keys.c.tenant)).scalars())


def _under_primary(keys: KeyStore, row: Row[Any], bound: bytes) -> bytes:
    secret = unwrap(keys.roots.by_id[row.root], row.wrapped, bound)
    return wrap(keys.roots.by_id[keys.roots.primary], secret, bound)


def _rewrap_some(sql: Any, keys: KeyStore, tenant: str) -> int:  # Any: a connection
    newest = key_rows.newest_tenant_key(sql, keys.roots, tenant)
    assert newest is not None
    id, secret = newest
    old = (tenant_keys.c.tenant == tenant) & (tenant_keys.c.id != id)
    rows = sql.execute(key_rows.joined().where(old).limit(ROWS_AT_ONCE)).all()
    for row in rows:
        mine = (object_keys.c.place == row.place) & (object_keys.c.tenant_key == row.tenant_key)
        values = {"tenant_key": id, "wrapped": key_rows.rewrap(row, keys.roots, secret)}
        sql.execute(update(object_keys).where(mine, object_keys.c.id == row.id).values(values))
    return len(rows)


def _has_dropped_old(keys: KeyStore, tenant: str) -> bool:
    """Whether only the newest is left; somebody may have used an older one since."""
    try:
        with keys.transaction() as sql:
            newest = key_rows.newest_tenant_key(sql, keys.roots, tenant)
            assert newest is not None
            old = (tenant_keys.c.tenant == tenant) & (tenant_keys.c.id != newest[0])
            used = exists().where(object_keys.c.tenant_key == tenant_keys.c.id)
            sql.execute(delete(tenant_keys).where(old, ~used))
            return sql.execute(select(tenant_keys.c.id).where(old)).first() is None
    except IntegrityError:
        return False
