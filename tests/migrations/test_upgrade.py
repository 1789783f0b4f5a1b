"""The schema goes up, down and up again on both databases, and is then what the code says it is."""

import os
import subprocess
import sys

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, select, text

from migrations.upgrade import upgrade
from shared import audit_log
from shared.sealed_columns import is_sealed
from shared.tables import keys, metadata, tenants


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


def test_tenants_and_keys_of_before_are_as_they_were(owner_url: str) -> None:
    environment = {**os.environ, "ETUDE_DATABASE_URL": owner_url}
    subprocess.run([sys.executable, "-m", "alembic", "downgrade", "0010"], env=environment, check=True)
    engine = create_engine(owner_url)
    with engine.begin() as sql:
        sql.execute(text("INSERT INTO tenants (id, name, created_at) VALUES ('ten_a', 'a', 1)"))
        sql.execute(
            text(
                "INSERT INTO keys (id, tenant, name, digest, scopes, created_at) "
                "VALUES ('key_a', 'ten_a', 'first', 'd', '[\"admin\"]', 1)"
            )
        )

    upgrade(owner_url)

    with engine.begin() as sql:
        chosen = [[column for column in table.c if not is_sealed(column)] for table in (tenants, keys)]
        tenant, key = (sql.execute(select(*columns)).one() for columns in chosen)
        # Of nothing that would have to be sealed.
        audit_log.append(sql, audit_log.Entry("ten_a", "keys.create", 201, key="key_a"))
    assert (tenant.suspended_at, tenant.queued_at_most, tenant.served_until) == (None, None, 0)
    assert (key.tenant, key.scopes, key.expires_at, key.rotated_to, key.last_used_at) == (
        "ten_a", ["admin"], None, None, None,
    )  # fmt: skip
    subprocess.run([sys.executable, "-m", "alembic", "downgrade", "0010"], env=environment, check=True)
    with engine.connect() as sql:
        assert sql.execute(text("SELECT count(*) FROM keys")).scalar_one() == 1
    engine.dispose()
