"""The moves of an alias, none of which is ever forgotten: who moved it, when, from where, why; and the way back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from shared import carried_rights
from shared.database import now
from shared.errors import NotAllowedNow
from shared.tables import aliases, keys, versions
from shared.tenancy import owned

MOVED, PROMOTED, ROLLED_BACK = "moved", "promoted", "rolled_back"

Json = dict[str, Any]


@dataclass(frozen=True)
class Mover:
    """Who moves an alias, and how: a key, or the job that promotes what it made."""

    how: str = MOVED
    key: str | None = None
    job: str | None = None
    reason: str | None = None


def note(sql: Connection, candidate: Row[Any], alias: str, mover: Mover, gate: Json | None = None) -> None:
    """Point an alias to a version; the caller holds its model, so that moves come one after the other."""
    mine = (aliases.c.model == candidate.model) & (aliases.c.alias == alias)
    newest = select(func.coalesce(func.max(aliases.c.move), 0) + 1).where(mine, owned(aliases, candidate.tenant))
    values = {
        "tenant": candidate.tenant, "model": candidate.model, "alias": alias,
        "move": newest.scalar_subquery(), "version": candidate.id,
        "at": now(), "how": mover.how, "key": mover.key, "job": mover.job, "reason": mover.reason, "gate": gate,
    }  # fmt: skip
    sql.execute(insert(aliases).values(values))


def page(sql: Connection, tenant: str, model_id: str, alias: str, *, limit: int, before: int | None) -> list[Row[Any]]:
    """The last moves first, each with the version's number and the name of the key; from move `before` on."""
    chosen = (
        select(aliases, versions.c.number, keys.c.name.label("key_name"))
        .join(versions, versions.c.id == aliases.c.version)
        .outerjoin(keys, owned(keys, aliases.c.tenant) & (keys.c.id == aliases.c.key))
        .where(aliases.c.tenant == tenant, aliases.c.model == model_id, aliases.c.alias == alias)
    )
    if before is not None:
        chosen = chosen.where(aliases.c.move <= before)
    return list(sql.execute(chosen.order_by(aliases.c.move.desc()).limit(limit)).all())


def of_model(sql: Connection, tenant: str, model_id: str) -> dict[str, list[Row[Any]]]:
    """Every alias that a model has had, each with its moves, the last first."""
    named = sorted(sql.execute(select(aliases.c.alias).where(aliases.c.model == model_id).distinct()).scalars())
    return {alias: page(sql, tenant, model_id, alias, limit=SHOWN, before=None) for alias in named}


# A card tells so many moves of each alias; its history has them all.
SHOWN = 20


def demand_unmoved(sql: Connection, tenant: str, model_id: str, alias: str, expected: int | None) -> None:
    """Raise NotAllowedNow unless the alias points to the version of that number; 0 is to none. None expects nothing."""
    if expected is None:
        return
    last = page(sql, tenant, model_id, alias, limit=1, before=None)
    found = last[0].number if last else 0
    if found != expected:
        points = f"version {found}" if found else "nothing"
        said = f"{alias} points to {points} by now, not to {_named(expected)}: look at its history, and decide again."
        raise NotAllowedNow(said, code="alias_moved")


def _named(number: int) -> str:
    return f"version {number}" if number else "nothing"


def roll_back(sql: Connection, tenant: str, model_id: str, alias: str, mover: Mover, *, unknown_rights: str) -> int:
    """Point an alias to where it pointed before, and return that version's number; once more, and it goes on back.

    Raises NotAllowedNow when it has pointed nowhere else, or when that version's rights do not allow it.
    """
    mine = (aliases.c.tenant == tenant) & (aliases.c.model == model_id)
    moves = select(aliases.c.version, aliases.c.how).where(mine, aliases.c.alias == alias)
    path = way_back((row.version, row.how) for row in sql.execute(moves.order_by(aliases.c.move)))
    if len(path) < 2:
        said = f"{alias} has pointed nowhere before: `GET …/aliases/{alias}/history` has its moves."
        raise NotAllowedNow(said, code="nothing_to_roll_back")
    earlier = sql.execute(select(versions).where(versions.c.id == path[-2])).one_or_none()
    if earlier is None:
        said = f"The version that {alias} pointed to before was deleted: point it to another one."
        raise NotAllowedNow(said, code="nothing_to_roll_back")
    carried_rights.demand_movable(sql, earlier, alias, unknown_rights)
    note(sql, earlier, alias, mover)
    return int(earlier.number)


def way_back(moves: Iterable[tuple[str, str | None]]) -> list[str]:
    """The versions on the way to where an alias points, from its moves in order; a rollback takes the last one off."""
    path: list[str] = []
    for version, how in moves:
        if how == ROLLED_BACK:
            path.pop()
        elif not path or path[-1] != version:
            path.append(version)
    return path
