"""The schema's revisions: where a database is, and the way to another.

The migrations are found as files, not imported: the worker's image holds shared/ without them.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from shared.backup import Refused

MIGRATIONS = Path(__file__).parents[2] / "migrations"


def revision(sql: Connection) -> str | None:
    """The revision of a database; None when it has no schema of ours."""
    return MigrationContext.configure(sql).get_current_revision()


def demand_known(wanted: str, what: str) -> None:
    """Raise Refused when `what` was made by code that is newer than this."""
    known = {each.revision for each in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if wanted not in known:
        raise Refused(f"{what} has revision {wanted}, which this version does not know: use the Etude that made it.")


def make(sql: Connection, wanted: str) -> None:
    """Bring a database without rows to a revision, wherever it was."""
    if revision(sql) not in (None, wanted):
        command.downgrade(_config(sql), "base")
    command.upgrade(_config(sql), wanted)


def upgrade(sql: Connection) -> None:
    """Bring a database to the newest revision, with its rows."""
    command.upgrade(_config(sql), "head")


def _config(sql: Connection) -> Config:
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.attributes["connection"] = sql
    return made
