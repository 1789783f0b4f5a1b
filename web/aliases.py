"""/v1/models/…/aliases: where each points, where it has pointed and why, and the way back."""

from typing import Any

from sqlalchemy import Row

from shared import alias_moves, builtin, models
from shared.alias_moves import Mover
from shared.errors import NotFound
from shared.keys import READ, SUBMIT
from web import registry_schemas, responses, schemas
from web.api import Answer, Call, route
from web.models import read_moment, whole
from web.registry_requests import RollbackQuery
from web.requests import AliasMove, AliasQuery, RunsPage

Json = dict[str, Any]


@route("GET", "/v1/models/<name>/aliases", scope=READ, answer=registry_schemas.AliasList, errors=(404,))
def index(call: Call, name: str) -> Answer:
    """Where each alias of a model points, and how it came there."""
    model = models.find(call.sql, call.caller.tenant, name)
    moves = alias_moves.of_model(call.sql, model.tenant, model.id)
    return Answer({"data": [_alias(name, alias, rows) for alias, rows in moves.items()]})


def _alias(name: str, alias: str, rows: list[Row[Any]]) -> Json:
    last, *_ = responses.moves(rows[:2])
    return {"alias": alias, "version": last["version"], "reference": f"{name}@{last['version']}", "last": last}


@route("PUT", "/v1/models/<name>/aliases/<alias>", scope=SUBMIT, body=AliasMove, answer=schemas.Version,
       errors=(404, 409))  # fmt: skip
def move(call: Call, name: str, alias: str) -> Answer:
    """Point an alias to a version, if it still points where the client expects, and the gate lets it pass."""
    models.check_alias(alias)
    wanted: AliasMove = call.body
    require = None if wanted.require is None else wanted.require.model_dump(exclude_defaults=True)
    mover = Mover(key=call.caller.key_id, reason=wanted.reason)
    row = models.move_alias(
        call.sql, call.caller.tenant, name, alias,
        number=wanted.version, require=require, mover=mover, expected=wanted.expected_version,
        unknown_rights=call.services.settings.unknown_rights,
    )  # fmt: skip
    return Answer(whole(call, row, name))


@route("GET", "/v1/models/<name>/aliases/<alias>", scope=READ, query=AliasQuery, answer=schemas.Version, errors=(404,))
def show(call: Call, name: str, alias: str) -> Answer:
    """The version to which an alias points, or pointed at a moment."""
    model = models.find(call.sql, call.caller.tenant, name)
    found = models.version_at(call.sql, model, alias, read_moment(call.query.at))
    if found is None:
        raise NotFound("The alias points to nothing.")
    row = models.find_by_id(call.sql, found)
    return Answer(whole(call, row, name))


@route("GET", "/v1/models/<name>/aliases/<alias>/history", scope=READ, query=RunsPage,
       answer=registry_schemas.MoveList, errors=(404,))  # fmt: skip
def history(call: Call, name: str, alias: str) -> Answer:
    """Every move of an alias, the last first."""
    page: RunsPage = call.query
    model = models.find(call.sql, call.caller.tenant, name)
    if models.version_at(call.sql, model, alias) is None:
        raise NotFound("The alias has never pointed to anything.")
    rows = alias_moves.page(call.sql, model.tenant, model.id, alias, limit=page.limit + 1, before=page.cursor)
    after = str(rows[-1].move) if len(rows) > page.limit else None
    return Answer({"data": responses.moves(rows)[: page.limit], "next_cursor": after})


@route("POST", "/v1/models/<name>/aliases/<alias>/rollback", scope=SUBMIT, query=RollbackQuery,
       answer=registry_schemas.RolledBack, errors=(404, 409))  # fmt: skip
def roll_back(call: Call, name: str, alias: str) -> Answer:
    """Point an alias to the version that it pointed to before; again, and it goes on back."""
    if builtin.is_builtin(name):
        raise builtin.fixed(name)
    model = models.find(call.sql, call.caller.tenant, name)
    models.hold(call.sql, model.id)
    alias_moves.demand_unmoved(call.sql, model.tenant, model.id, alias, call.query.expected_version)
    left = models.list_aliases(call.sql, model.id).get(alias)
    mover = Mover(alias_moves.ROLLED_BACK, key=call.caller.key_id)
    allowed = call.services.settings.unknown_rights
    number = alias_moves.roll_back(call.sql, model.tenant, model.id, alias, mover, unknown_rights=allowed)
    row = models.find_version(call.sql, call.caller.tenant, name, number)
    return Answer({**whole(call, row, name), "alias": alias, "rolled_back_from": left})
