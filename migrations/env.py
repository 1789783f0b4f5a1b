"""Alembic's entry: runs the versions against the database that the settings or the caller name."""

from alembic import context
from sqlalchemy import Connection, make_url

from shared import settings
from shared.backup import engines
from shared.tables import metadata


def run(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Rows are hidden from their tables' owner, too, who changes those of all tenants here.
        connection.exec_driver_sql("SELECT set_config('etude.tenant', '*', true)")
    # SQLite cannot alter a column in place: batch mode copies the table.
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with engines.writing(make_url(settings.read().database_url)) as opened:
        run(opened)
