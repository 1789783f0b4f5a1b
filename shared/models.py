"""The model registry: versions under a name, and aliases that move between them."""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from shared import alias_moves, builtin, carried_rights, gate, ids, paired
from shared.alias_moves import Mover
from shared.claims import Claim
from shared.database import now
from shared.errors import Fault, InvalidRequest, NotFound
from shared.gate import Measured
from shared.tables import aliases, models, versions
from shared.tenancy import owned

CHAMPION = carried_rights.CHAMPION
UNKNOWN = Mover()
MOMENT_S = 0.001
ALIAS = "[A-Za-z][A-Za-z0-9_-]{0,63}"

Json = dict[str, Any]

_MAKE = {
    name: dialect.insert(models).on_conflict_do_nothing()
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}


@dataclass(frozen=True)
class NewVersion:
    """What a training made."""

    files: list[Json]  # name, key, size_bytes, sha256
    metrics: Json
    baselines: Json
    warnings: list[Json]
    lineage: Json
    parameters: int


def record(sql: Connection, claim: Claim, new: NewVersion) -> Json:
    """Add the next version under the job's model name: in the transaction that ends the job, after its fenced write.

    Returns what the job's result says of it.
    """
    model = take(sql, claim)
    newest = select(func.coalesce(func.max(versions.c.number), 0) + 1).where(versions.c.model == model.id)
    values = {
        "id": ids.new("ver"), "tenant": claim.tenant, "model": model.id, "number": newest.scalar_subquery(),
        "job": claim.job_id,
        "fence": claim.fence, "files": new.files, "metrics": new.metrics, "baselines": new.baselines,
        "warnings": new.warnings, "lineage": new.lineage, "parameters": new.parameters, "created_at": now(),
    }  # fmt: skip
    number = sql.execute(insert(versions).values(values).returning(versions.c.number)).scalar_one()
    return {"model": model.name, "version": number, "reference": f"{model.name}@{number}"}


def take(sql: Connection, claim: Claim) -> Row[Any]:
    """The model of the claim's name, made when it is new; held, so that two trainings number one after the other."""
    mine = (models.c.tenant == claim.tenant) & (models.c.name == claim.model)
    hold = update(models).where(mine).values(name=models.c.name).returning(models)
    found = sql.execute(hold).one_or_none()
    if found is not None:
        return found
    values = {"tenant": claim.tenant, "name": claim.model, "kind": claim.kind, "created_at": now()}
    # Another training of the name may make it at this moment: it is waited for, and what it made is taken.
    sql.execute(_MAKE[sql.dialect.name].values(id=ids.new("mdl"), **values))
    return sql.execute(hold).one()


def find(sql: Connection, tenant: str, name: str) -> Row[Any]:
    """One model by name, a tenant's own or one that comes with the service. Raises NotFound."""
    if builtin.is_builtin(name):
        return _there(builtin.find(name), "There is no such model.")
    row = sql.execute(select(models).where(models.c.tenant == tenant, models.c.name == name)).one_or_none()
    if row is None:
        raise NotFound("There is no such model.")
    return row


def page(sql: Connection, tenant: str, *, limit: int, before: str | None) -> list[Row[Any]]:
    """The models that were made last, first, each with its newest version's number; at the end the service's own."""
    newest = select(func.max(versions.c.number)).where(
        owned(versions, models.c.tenant), versions.c.model == models.c.id
    )
    marked = exists().where(
        owned(versions, models.c.tenant), versions.c.model == models.c.id, versions.c.erased_data.is_not(None)
    )
    columns = (newest.scalar_subquery().label("newest"), marked.label("has_erased_data"))
    chosen = select(models, *columns).where(models.c.tenant == tenant)
    if before is not None:
        chosen = chosen.where(models.c.id < before)
    own = list(sql.execute(chosen.order_by(models.c.id.desc()).limit(limit)).all())
    return [*own, *builtin.models(before=before)][:limit]


def list_versions(sql: Connection, model: Row[Any]) -> list[Row[Any]]:
    """Every version of a model, the newest first."""
    if builtin.is_builtin(model.name):
        return [_there(builtin.find_version(model.name, model.newest), "There is no such version.")]
    chosen = select(versions).where(versions.c.model == model.id).order_by(versions.c.number.desc())
    return list(sql.execute(chosen).all())


def find_version(sql: Connection, tenant: str, name: str, number: int) -> Row[Any]:
    """One version by its number. Raises NotFound."""
    if builtin.is_builtin(name):
        return _there(builtin.find_version(name, number), "There is no such version.")
    model = find(sql, tenant, name)
    row = sql.execute(select(versions).where(versions.c.model == model.id, versions.c.number == number)).one_or_none()
    if row is None:
        raise NotFound("There is no such version.")
    return row


def find_by_id(sql: Connection, version_id: str) -> Row[Any]:
    """One version with its model's name and kind, for a worker that was given its id. Raises NotFound."""
    ours = builtin.find_by_id(version_id)
    if ours is not None:
        return _there(ours, "")
    chosen = (
        select(versions, models.c.name, models.c.kind)
        .join(models, models.c.id == versions.c.model)
        .where(versions.c.id == version_id)
    )
    row = sql.execute(chosen).one_or_none()
    if row is None:
        raise NotFound("The model version was deleted.")
    return row


def resolve(sql: Connection, tenant: str, reference: str, *, pointer: str) -> Row[Any]:
    """The version that `name@3`, `name@champion`, `name@latest` or `name` means; a bare name is its champion or newest.

    Raises InvalidRequest with the pointer when it names nothing.
    """
    name, _, which = reference.partition("@")
    if builtin.is_builtin(name):
        return _resolve_builtin(name, which, reference, pointer)
    model = sql.execute(select(models).where(models.c.tenant == tenant, models.c.name == name)).one_or_none()
    row = None if model is None else _choose(sql, model, which)
    if row is None:
        raise _unknown(reference, pointer)
    return find_by_id(sql, row)


def _resolve_builtin(name: str, which: str, reference: str, pointer: str) -> Row[Any]:
    model = builtin.find(name)
    number = int(which) if which.isdigit() and len(which) < 10 else None
    if model is not None and which in ("", "latest", CHAMPION):
        number = model.newest
    found = None if number is None else builtin.find_version(name, number)
    if found is None:
        raise _unknown(reference, pointer)
    return _there(found, "")


def _unknown(reference: str, pointer: str) -> InvalidRequest:
    said = f"expected a model version (name@3, name@latest or name@alias), received {reference!r}, which names none"
    return InvalidRequest(said, code="unknown_reference", faults=[Fault(said, pointer=pointer)])


def _there(found: Any, said: str) -> Row[Any]:  # Any: a row, or what builtin makes like one
    if found is None:
        raise NotFound(said)
    row: Row[Any] = found
    return row


def _choose(sql: Connection, model: Row[Any], which: str) -> str | None:
    chosen = select(versions.c.id).where(versions.c.model == model.id)
    if which.isdigit() and len(which) < 10:
        return sql.execute(chosen.where(versions.c.number == int(which))).scalar()
    if which not in ("", "latest"):
        return version_at(sql, model, which)
    champion = version_at(sql, model, CHAMPION) if which == "" else None
    return champion or sql.execute(chosen.order_by(versions.c.number.desc()).limit(1)).scalar()


def version_at(sql: Connection, model: Row[Any], alias: str, at: float | None = None) -> str | None:
    """The id of the version to which an alias points, or pointed at a moment; None when it pointed to nothing."""
    mine = (aliases.c.tenant == model.tenant) & (aliases.c.model == model.id)
    chosen = select(aliases.c.version).where(mine, aliases.c.alias == alias)
    if at is not None:
        # Moments are told to the millisecond: what is told of a move lies a little before it.
        chosen = chosen.where(aliases.c.at < at + MOMENT_S)
    return sql.execute(chosen.order_by(aliases.c.move.desc()).limit(1)).scalar()


def list_aliases(sql: Connection, model_id: str) -> dict[str, int]:
    """Where each alias of a model points now: alias to version number."""
    chosen = (
        select(aliases.c.alias, versions.c.number)
        .join(versions, versions.c.id == aliases.c.version)
        .where(aliases.c.model == model_id)
        .order_by(aliases.c.move)
    )
    return {row.alias: row.number for row in sql.execute(chosen)}


def at_alias(sql: Connection, tenant: str, name: str, alias: str) -> Row[Any] | None:
    """The version to which an alias points now; None when it points to nothing, or there is no such model."""
    chosen = (
        select(versions)
        .join(aliases, aliases.c.version == versions.c.id)
        .join(models, models.c.id == aliases.c.model)
        .where(models.c.tenant == tenant, models.c.name == name, aliases.c.alias == alias)
    )
    return sql.execute(chosen.order_by(aliases.c.move.desc()).limit(1)).one_or_none()


def check_alias(alias: str, *, pointer: str | None = None) -> None:
    """Refuse what cannot be an alias, `latest` for one: it has a meaning of its own."""
    if re.fullmatch(ALIAS, alias) and alias != "latest":
        return
    said = "expected an alias of 1 to 64 letters, digits, - and _, beginning with a letter, and not latest"
    raise InvalidRequest(said, code="alias_invalid", faults=[Fault(said, pointer=pointer)] if pointer else [])


def move_alias(
    sql: Connection,
    tenant: str,
    name: str,
    alias: str,
    *,
    number: int,
    require: Json | None = None,
    measured: Measured | None = None,
    mover: Mover = UNKNOWN,
    expected: int | None = None,
    unknown_rights: str = carried_rights.ALLOW,
) -> Row[Any]:
    """Point an alias to a version, if the gate in `require` lets it pass (see shared/gate.py).

    Raises NotAllowedNow when the gate or the version's rights refuse (shared/carried_rights.py), or when the alias does
    not point to the version `expected` any more. An empty alias to compare with lets everything pass.
    """
    if builtin.is_builtin(name):
        raise builtin.fixed(name)
    candidate = find_version(sql, tenant, name, number)
    hold(sql, candidate.model)
    alias_moves.demand_unmoved(sql, candidate.tenant, candidate.model, alias, expected)
    carried_rights.demand_movable(sql, candidate, alias, unknown_rights)
    passed = None
    if require is not None:
        other = require.get("not_worse_than")
        rival = None if other is None else at_alias(sql, tenant, name, other)
        kind, metric = find(sql, tenant, name).kind, require.get("metric")
        both = None
        if rival is not None and metric is not None and measured is None:
            # Nobody has measured them for this move: an evaluation of both may have.
            both = paired.find(sql, tenant, candidate, f"{name}@{rival.number}", metric)
        passed = gate.demand(candidate, rival, kind, require, measured, paired=both)
    alias_moves.note(sql, candidate, alias, mover, passed)
    return candidate


def hold(sql: Connection, model_id: str) -> None:
    """Moves of aliases come one after the other, and each is judged by where the one before has left them."""
    sql.execute(update(models).where(models.c.id == model_id).values(name=models.c.name))


def describe(sql: Connection, tenant: str, name: str, said: dict[str, str | None]) -> Row[Any]:
    """Change what its owner says of a model. Raises NotFound, NotAllowedNow for one that comes with the service."""
    if builtin.is_builtin(name):
        raise builtin.fixed(name)
    model = find(sql, tenant, name)
    if said:
        sql.execute(update(models).where(models.c.id == model.id).values(said))
    return find(sql, tenant, name)


def delete(sql: Connection, tenant: str, name: str) -> None:
    """Forget a model with its versions and aliases; the caller deletes the files, once no row names them."""
    if builtin.is_builtin(name):
        raise builtin.fixed(name)
    model = find(sql, tenant, name)
    sql.execute(aliases.delete().where(aliases.c.model == model.id))
    sql.execute(versions.delete().where(versions.c.model == model.id))
    sql.execute(models.delete().where(models.c.id == model.id))
