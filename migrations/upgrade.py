"""`python -m migrations.upgrade`: bring the database to the newest schema, admit the role of the service to it, and
seal what a release before left open.

Any number of processes may say it.
"""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, make_url

from migrations import roles
from shared import settings
from shared.backup import engines
from shared.database import Database
from shared.errors import EtudeError
from shared.sealing import old_cells, old_hashes, starting
from shared.settings import Settings
from shared.tables import tenants
from shared.tenancy import EVERYONE

# One number of our own, so that two hosts that start together migrate one after the other.
ADVISORY_LOCK = 5_803_311


def config(connection: Connection) -> Config:
    """Alembic's configuration for one open connection."""
    made = Config(toml_file=Path(__file__).parent.parent / "pyproject.toml")
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.attributes["connection"] = connection
    return made


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the database at this URL up to a revision: wholly or, killed, not at all, so that it can be said again."""
    with engines.writing(make_url(database_url)) as sql:
        if sql.dialect.name == "postgresql":
            sql.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
        command.upgrade(config(sql), revision)


def admit(chosen: Settings) -> None:
    """Let the service's role in, if it has one of its own. Raises RoleWrong."""
    if not chosen.app_database_url:
        return
    with engines.writing(make_url(chosen.database_url)) as sql:
        sql.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
        roles.admit(sql, chosen)


def seal_names(chosen: Settings) -> int:
    """Seal the cells of SQL from before names were sealed, which nothing else would find; returns how many rows."""
    database = Database(chosen, whose=EVERYONE, erases=True)
    try:
        return sum(1 for _ in old_cells.seal_all(database)) if old_cells.has_open_names(database) else 0
    finally:
        database.close()


def key_hashes(chosen: Settings) -> int:
    """Put a key over the hashes from before they were keyed; returns how many rows."""
    database = Database(chosen, whose=EVERYONE, erases=True)
    try:
        return sum(1 for _ in old_hashes.key_all(database))
    finally:
        database.close()


def has_names_to_seal(chosen: Settings) -> bool:
    """Whether names of a release that did not seal them lie here, in whichever schema: its tenants are sealed last."""
    database = Database(chosen, whose=EVERYONE)
    try:
        with database.reading() as sql:
            return inspect(sql).has_table(tenants.name) and old_cells.has_open_tenants(sql)
    finally:
        database.close()


def main() -> None:
    chosen = settings.read()
    if has_names_to_seal(chosen):
        # Before the schema: the older release runs on while nothing was changed.
        starting.demand(chosen)
    upgrade(chosen.database_url)
    try:
        admit(chosen)
    except roles.RoleWrong as reason:
        sys.exit(str(reason))
    try:
        seal_names(chosen)
        key_hashes(chosen)
    except EtudeError as error:
        sys.exit(f"What an earlier release has left open could not be sealed: {error.detail}")


if __name__ == "__main__":
    main()
