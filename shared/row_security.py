"""Whether row-level security holds for the role that this process connects as; SQLite has none to hold."""

from sqlalchemy import Connection, text

from shared.database import Database
from shared.errors import Unavailable
from shared.log import logger
from shared.settings import Settings

# Such a role is shown every row of every tenant, whatever it is told.
IS_ABOVE = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")

log = logger("row_security")


def is_bypassed(sql: Connection) -> bool:
    """Whether a database that has policies does not apply them to us."""
    return sql.dialect.name == "postgresql" and bool(sql.execute(IS_ABOVE).scalar_one())


def tell(chosen: Settings) -> None:
    """Warn in the log of a process that starts; one whose database is away starts without having been told."""
    database = Database(chosen)
    try:
        with database.reading() as sql:
            if is_bypassed(sql):
                log.warning("row_security_bypassed")
    except Unavailable:
        return
    finally:
        database.close()
