"""/healthz: this process answers. /healthz/sandbox: decoders are kept in. /readyz: what it needs answers too."""

from redis.exceptions import RedisError
from sqlalchemy import text

from shared import queue, row_security, workers
from shared.containment.tiers import lowest
from shared.keys import READ
from web import schemas
from web.api import Answer, Call, route


@route("GET", "/healthz", scope=None, answer=schemas.Health, opens=False)
def alive(call: Call) -> Answer:
    """The process answers."""
    return Answer({"status": "ok"})


@route("GET", "/healthz/sandbox", scope=READ, answer=schemas.Sandbox)
def contained(call: Call) -> Answer:
    """How far the workers that are here keep their decoders in, the least of them, and what is demanded at least."""
    chosen = call.services.settings
    found = workers.contained(call.sql, lease_s=chosen.lease_s)
    tier = lowest([reached for _, _, reached in found]) if found else None
    least = chosen.sandbox_at_least or None
    # Of a worker whose own settings demand less: one that demanded as much would not have started.
    is_below = tier is not None and least is not None and lowest([tier, least]) != least
    shown = [{"name": name, "queue": queue_name, "tier": reached} for name, queue_name, reached in found]
    return Answer({"status": "below" if is_below else "ok", "at_least": least, "tier": tier, "workers": shown})


@route("GET", "/readyz", scope=None, answer=schemas.Health, opens=False, is_slow=True)
def ready(call: Call) -> Answer:
    """Database and storage answer; Redis away is said, and no reason to send nobody here: jobs are taken without it."""
    services = call.services
    with services.database.reading() as sql:
        sql.execute(text("SELECT version_num FROM alembic_version"))
        is_bypassed = row_security.is_bypassed(sql)
    # Beneath the condition in each statement there is nothing then: whoever operates it has chosen a role for that.
    said = {"status": "ok", "row_security": "bypassed"} if is_bypassed else {"status": "ok"}
    services.storage.check()
    try:
        with queue.connect(services.settings) as redis:
            redis.ping()
        return Answer(said)
    except (RedisError, OSError):
        return Answer({**said, "redis": "away"})
