"""`python -m migrations.upgrade`: bring the database to the newest schema; any number of processes may say it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine

from shared import settings

# One number of our own, so that two hosts that start together migrate one after the other.
ADVISORY_LOCK = 5_803_311


def config(connection: Connection) -> Config:
    """Alembic's configuration for one open connection."""
    made = Config(toml_file=Path(__file__).parent.parent / "pyproject.toml")
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.attributes["connection"] = connection
    return made


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the database at this URL up to a revision."""
    engine = create_engine(database_url)
    with engine.begin() as sql:
        if sql.dialect.name == "postgresql":
            sql.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
        command.upgrade(config(sql), revision)
    engine.dispose()


if __name__ == "__main__":
    upgrade(settings.read().database_url)
