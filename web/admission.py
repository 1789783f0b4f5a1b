"""Who may come in: the key, its scope, its tenant, and how often; what is refused of a known key is told in its log."""

import ipaddress
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flask import request
from structlog.contextvars import bind_contextvars

from shared import audit_log
from shared.audit_log import Entry
from shared.errors import Forbidden, TooManyRequests, Unauthorised, Unavailable
from shared.keys import RANKS, Caller, KeyRefused
from shared.log import logger
from web import errors
from web.environ import TENANT
from web.rates import Buckets, Taken
from web.services import Services
from web.uploading import UPLOAD

if TYPE_CHECKING:
    from web.api import Route

# In the WSGI environment: the gateway may ask twice in the name of one request, which is counted once.
COUNTED, SUBMITTED = "etude.counted", "etude.submitted"
# In the WSGI environment: what is left of the key's bucket, for the headers of the answer.
RATE = "etude.rate"
# Holders of an IPv6 network have all its addresses.
NETWORK_BITS = 64

NOBODY = Caller(tenant="", key_id="", rank=-1)
log = logger("admission")


def admit(declared: "Route", services: Services, path: dict[str, str]) -> Caller:
    """The caller. Raises Unauthorised, Forbidden, TooManyRequests."""
    if declared.scope is None:
        return NOBODY
    caller = _identify(declared, services)
    _count(services, caller.key_id)
    with telling_refusals(declared, services, caller, path):
        _demand_scope(declared, caller)
    if UPLOAD in request.environ:
        request.environ[UPLOAD].take(caller.tenant)
    # A key that may not submit must not use up what those of its tenant that may have.
    if declared.submits and SUBMITTED not in request.environ:
        request.environ[SUBMITTED] = True
        _demand(services.rates.submissions, caller.tenant, "Jobs of this tenant come too fast.")
    return caller


@contextmanager
def telling_refusals(declared: "Route", services: Services, caller: Caller, path: dict[str, str]) -> Iterator[None]:
    """Whatever within is forbidden, or ends because the key has, is told in the tenant's log."""
    try:
        yield
    except (Forbidden, KeyRefused) as refusal:
        _tell(services, entry(declared, caller.tenant, refusal.status, key=caller.key_id, path=path))
        raise


def _identify(declared: "Route", services: Services) -> Caller:
    header = request.headers.get("Authorization")
    strangers, address = services.rates.strangers, network(request.remote_addr or "")
    # Not the right ones of who shares the address with a guesser.
    if strangers.is_empty(address) and not services.keyring.has_known(header):
        _demand(strangers, address, "Too many wrong keys came from this address.")
    try:
        caller = services.keyring.identify(header)
    except KeyRefused as refusal:
        # Who knows the secret of a key that has ended guesses nothing: others of the address are not to suffer for it.
        _count(services, refusal.key_id)
        # Its answer looks like any other's.
        request.environ.pop(RATE, None)
        _tell(services, entry(declared, refusal.tenant, refusal.status, key=refusal.key_id))
        raise
    except Unauthorised:
        if COUNTED not in request.environ:
            request.environ[COUNTED] = True
            strangers.take(address)
        raise
    request.environ[TENANT] = caller.tenant
    bind_contextvars(tenant=caller.tenant)
    return caller


def _count(services: Services, key_id: str) -> None:
    if COUNTED in request.environ:
        return
    request.environ[COUNTED] = True
    rates = services.rates
    taken = _demand(rates.keys, key_id, "This key asks too often.")
    if rates.keys.rate:
        request.environ[RATE] = taken


def _demand(buckets: Buckets, name: str, said: str) -> Taken:
    taken = buckets.take(name)
    if taken.wait_s:
        request.environ[RATE] = taken
        raise TooManyRequests(f"{said} Slow down.", code="rate_limited", retry_after_s=math.ceil(taken.wait_s))
    return taken


def _demand_scope(declared: "Route", caller: Caller) -> None:
    if caller.is_suspended:
        raise Forbidden("The operator has suspended this tenant: ask there.", code="tenant_suspended")
    if caller.rank < RANKS[declared.scope or ""]:
        raise Forbidden(f"This call needs a key with the scope {declared.scope}.")


def _tell(services: Services, refused: Entry) -> None:
    if services.rates.refusals.take(refused.tenant).wait_s:
        return
    try:
        with services.database.of(refused.tenant).transaction() as sql:
            audit_log.append(sql, refused)
    except Unavailable:
        if services.is_prompt:
            raise
        # What is refused stays refused, whether or not it could be told.
        log.warning("refusal_not_noted", tenant=refused.tenant, action=refused.action)


def entry(
    declared: "Route", tenant: str, status: int, *, key: str, path: dict[str, str] | None = None, body: Any = None
) -> Entry:  # Any: what the route answers
    """What the audit log says of a call: never a file's name, nor anything of a body but the id of what was made."""
    files = set(re.findall(r"<path:(\w+)>", declared.path))
    named = "/".join(str(value) for name, value in (path or {}).items() if name not in files)
    made = body.get("id") if isinstance(body, dict) else None
    of = named or made
    request_id = request.environ[errors.REQUEST_ID]
    return Entry(
        tenant, declared.action, status, key=key, object=of, made=None if made == of else made, request=request_id
    )


@lru_cache(4096)
def network(address: str) -> str:
    """What is counted as one address: an IPv6 address stands for its network."""
    try:
        found = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, NETWORK_BITS), strict=False))
