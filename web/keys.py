"""/v1/keys: made, listed, rotated and revoked by the tenant's own admins."""

from typing import Any

from sqlalchemy import Row

from shared import issued_keys
from shared.keys import ADMIN, RANKS
from web import responses, tenant_schemas
from web.api import Answer, Call, route
from web.requests import Page
from web.tenant_requests import NewKey, Rotation

Json = dict[str, Any]


@route("POST", "/v1/keys", scope=ADMIN, body=NewKey, answer=tenant_schemas.KeyWithSecret, status=201, errors=(409,),
       shows_secret=True)  # fmt: skip
def create(call: Call) -> Answer:
    """Make a key; its secret is shown here and never again, not to a repeated request either."""
    wanted: NewKey = call.body
    made, secret = issued_keys.create(
        call.sql, call.caller, name=wanted.name, scope=wanted.scope, expires_in_days=wanted.expires_in_days,
        pepper=call.services.settings.pepper,
    )  # fmt: skip
    return _made(call, made, secret)


@route("GET", "/v1/keys", scope=ADMIN, query=Page, answer=tenant_schemas.KeyList)
def index(call: Call) -> Answer:
    """The newest keys first."""
    page: Page = call.query
    rows = issued_keys.page(call.sql, call.caller.tenant, limit=page.limit + 1, before=page.cursor)
    return Answer(responses.page([_key(row) for row in rows], limit=page.limit))


@route("GET", "/v1/keys/<key_id>", scope=ADMIN, answer=tenant_schemas.Key, errors=(404,))
def show(call: Call, key_id: str) -> Answer:
    """One key."""
    return Answer(_key(issued_keys.find(call.sql, call.caller.tenant, key_id)))


@route("POST", "/v1/keys/<key_id>/rotate", scope=ADMIN, body=Rotation, answer=tenant_schemas.KeyWithSecret, status=201,
       errors=(404, 409), shows_secret=True)  # fmt: skip
def rotate(call: Call, key_id: str) -> Answer:
    """Make a key in the place of another, which is good until the grace is over."""
    wanted: Rotation = call.body
    pepper = call.services.settings.pepper
    made, secret = issued_keys.rotate(call.sql, call.caller, key_id, grace_s=wanted.grace_s, pepper=pepper)
    return _made(call, made, secret)


@route("DELETE", "/v1/keys/<key_id>", scope=ADMIN, status=204, errors=(404, 409))
def revoke(call: Call, key_id: str) -> Answer:
    """End a key; within seconds it opens nothing any more."""
    issued_keys.revoke(call.sql, call.caller.tenant, key_id)
    return Answer(status=204)


def _made(call: Call, made: Row[Any], secret: str) -> Answer:
    row = issued_keys.find(call.sql, call.caller.tenant, made.id)
    return Answer({**_key(row), "secret": secret}, 201, {"Location": f"/v1/keys/{made.id}"})


def _key(row: Row[Any]) -> Json:
    moments = ("created_at", "expires_at", "revoked_at", "last_used_at")
    return {
        "id": row.id, "name": row.name, "scope": max(row.scopes, key=RANKS.__getitem__), "state": row.state,
        "rotated_to": row.rotated_to, **{name: responses.moment(row._mapping[name]) for name in moments},
    }  # fmt: skip
