"""The keys that a tenant has: made, listed, rotated and revoked by its own admins.

Each function is called inside one transaction. What a key is, and whom it belongs to, is in shared/keys.py.
"""

from typing import Any

from sqlalchemy import Connection, Row, case, func, select, update

from shared import keys
from shared.database import now
from shared.errors import Forbidden, NotAllowedNow, NotFound
from shared.keys import ADMIN, RANKS, Caller
from shared.tables import keys as table

DAY_S = 86_400.0
# As the research has it: a key that leaks and is forgotten is worthless after a season, and after a year at the latest.
EXPIRES_DAYS, EXPIRES_DAYS_AT_MOST = 90, 366
# A day to put the new key where the old one was; at most a week.
GRACE_S, GRACE_S_AT_MOST = 86_400, 604_800
ACTIVE, EXPIRED, REVOKED = "active", "expired", "revoked"
# So many that nobody notices, and a loop that has run wild does.
KEYS_AT_MOST = 1000

Made = tuple[Row[Any], str]


def create(sql: Connection, caller: Caller, *, name: str, scope: str, expires_in_days: int, pepper: str) -> Made:
    """Make a key of at most the caller's scope; returns its row, and the key itself, which cannot be read again."""
    _demand_rank(caller, scope)
    _hold_all(sql, caller.tenant)
    living = sql.execute(select(func.count()).where(table.c.tenant == caller.tenant, keys.is_living())).scalar_one()
    if living >= KEYS_AT_MOST:
        raise NotAllowedNow(f"There are {living:,} keys that live: revoke some first.", code="too_many_keys")
    return keys.make(sql, caller.tenant, name=name, scope=scope, pepper=pepper, expires_in_s=expires_in_days * DAY_S)


def page(sql: Connection, tenant: str, *, limit: int, before: str | None) -> list[Row[Any]]:
    """The newest first, each with its `state`."""
    chosen = _select().where(table.c.tenant == tenant)
    if before is not None:
        chosen = chosen.where(table.c.id < before)
    return list(sql.execute(chosen.order_by(table.c.id.desc()).limit(limit)).all())


def find(sql: Connection, tenant: str, key_id: str) -> Row[Any]:
    """One key. Raises NotFound, alike for nobody's and somebody else's."""
    row = sql.execute(_select().where(table.c.id == key_id, table.c.tenant == tenant)).one_or_none()
    if row is None:
        raise NotFound("There is no such key.")
    return row


def rotate(sql: Connection, caller: Caller, key_id: str, *, grace_s: int, pepper: str) -> Made:
    """Make a key of the same name, scope and length of life; the old one is good until the grace is over.

    Raises NotAllowedNow for one that is not active, or that was rotated before: of two at once one is refused.
    """
    _hold_all(sql, caller.tenant)
    old = find(sql, caller.tenant, key_id)
    if old.state != ACTIVE:
        raise NotAllowedNow(f"A key that is {old.state} cannot be rotated: make a new one.", code=f"key_{old.state}")
    if old.rotated_to is not None:
        said = f"The key was rotated before: {old.rotated_to} has taken its place."
        raise NotAllowedNow(said, code="key_rotated")
    scope = max(old.scopes, key=RANKS.__getitem__)
    _demand_rank(caller, scope)
    life_s = None if old.expires_at is None else old.expires_at - old.created_at
    made, secret = keys.make(sql, caller.tenant, name=old.name, scope=scope, pepper=pepper, expires_in_s=life_s)
    until = old.at + grace_s
    expires_at = until if old.expires_at is None else min(old.expires_at, until)
    change = {"rotated_to": made.id, "expires_at": expires_at}
    sql.execute(update(table).where(table.c.id == old.id, table.c.tenant == caller.tenant).values(change))
    return made, secret


def revoke(sql: Connection, tenant: str, key_id: str) -> None:
    """End a key; once more changes nothing. Raises NotAllowedNow for the last one that could make another."""
    _hold_all(sql, tenant)
    row = find(sql, tenant, key_id)
    if row.revoked_at is not None:
        return
    if row.state == ACTIVE and ADMIN in row.scopes and not _other_admins(sql, tenant, key_id):
        said = "This is the last admin key that lives: make another one first, or nobody could."
        raise NotAllowedNow(said, code="last_admin_key")
    sql.execute(update(table).where(table.c.id == key_id, table.c.tenant == tenant).values(revoked_at=now()))


def _other_admins(sql: Connection, tenant: str, key_id: str) -> list[str]:
    """The admin keys that live on; one that was rotated lives no longer than its grace."""
    mine = (table.c.tenant == tenant) & (table.c.id != key_id) & table.c.rotated_to.is_(None)
    rows = sql.execute(select(table.c.id, table.c.scopes).where(mine, keys.is_living()))
    return [row.id for row in rows if ADMIN in row.scopes]


def _hold_all(sql: Connection, tenant: str) -> None:
    # Two who each revoke one of the last two, or both rotate one, come one after the other.
    sql.execute(select(table.c.id).where(table.c.tenant == tenant).order_by(table.c.id).with_for_update())


def _demand_rank(caller: Caller, scope: str) -> None:
    if RANKS[scope] > caller.rank:
        raise Forbidden(f"A key makes keys of at most its own scope, which is less than {scope}.")


def _select() -> Any:  # Any: SQLAlchemy's select of a table and two more has no short type
    state = case((table.c.revoked_at.is_not(None), REVOKED), (table.c.expires_at <= now(), EXPIRED), else_=ACTIVE)
    return select(table, state.label("state"), now().label("at"))
