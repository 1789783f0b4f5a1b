"""/healthz: this process answers. /readyz: what it needs answers too."""

from redis.exceptions import RedisError
from sqlalchemy import text

from shared import queue
from web import schemas
from web.api import Answer, Call, route

# Whether the database shows this role every row of every tenant, whatever it is told.
ABOVE_POLICIES = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")


@route("GET", "/healthz", scope=None, answer=schemas.Health, opens=False)
def alive(call: Call) -> Answer:
    """The process answers."""
    return Answer({"status": "ok"})


@route("GET", "/readyz", scope=None, answer=schemas.Health, opens=False, is_slow=True)
def ready(call: Call) -> Answer:
    """Database and storage answer; Redis away is said, and no reason to send nobody here: jobs are taken without it."""
    services = call.services
    with services.database.reading() as sql:
        sql.execute(text("SELECT version_num FROM alembic_version"))
        is_above = sql.dialect.name == "postgresql" and sql.execute(ABOVE_POLICIES).scalar_one()
    # Beneath the condition in each statement there is nothing then: whoever operates it has chosen a role for that.
    said = {"status": "ok", "row_security": "bypassed"} if is_above else {"status": "ok"}
    services.storage.check()
    try:
        with queue.connect(services.settings) as redis:
            redis.ping()
        return Answer(said)
    except (RedisError, OSError):
        return Answer({**said, "redis": "away"})
