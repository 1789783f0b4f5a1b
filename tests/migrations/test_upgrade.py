"""The schema goes up, down and up again on both databases, and is then what the code says it is."""

import os
import subprocess
import sys

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from migrations.upgrade import upgrade
from shared.tables import metadata


def test_the_schema_goes_up_down_and_up_again(owner_url: str) -> None:
    environment = {**os.environ, "ETUDE_DATABASE_URL": owner_url}

    subprocess.run([sys.executable, "-m", "alembic", "downgrade", "base"], env=environment, check=True)
    engine = create_engine(owner_url)
    left = set(inspect(engine).get_table_names())
    upgrade(owner_url)
    upgrade(owner_url)

    assert left == {"alembic_version"}
    with engine.connect() as sql:
        assert compare_metadata(MigrationContext.configure(sql, opts={"compare_type": True}), metadata) == []
    engine.dispose()
