"""Migration 0013: events that are there already get their place, and those that follow stand behind them."""

import os
import subprocess
import sys

from sqlalchemy import create_engine, text

from migrations.upgrade import upgrade
from shared import ids

COLUMNS = (
    "id, tenant, action, queue, priority, datasets, params, labels, budget, state, attempt, fence, losses, tries, "
    "run_after, revision, created_at"
)
VALUES = ":id, :tenant, 'train', 'train', 0, '[]', '{}', '{}', '{}', 'queued', 0, 0, 0, 0, 1, 0, 1"
TOLD = "INSERT INTO events (job, seq, at, type, data) VALUES (:job, :seq, :at, 'state', '{}')"


def test_rows_of_the_version_before_keep_their_order_and_new_ones_follow(owner_url: str) -> None:
    environment = {**os.environ, "ETUDE_DATABASE_URL": owner_url}
    subprocess.run([sys.executable, "-m", "alembic", "downgrade", "0010"], env=environment, check=True)
    engine = create_engine(owner_url.replace("postgresql://", "postgresql+psycopg://"))
    owners = {ids.new("job"): tenant for tenant in ("ten_a", "ten_b")}
    first, second = owners
    with engine.begin() as sql:
        for job, tenant in owners.items():
            owner = {"id": tenant, "name": tenant}
            sql.execute(text("INSERT INTO tenants (id, name, created_at) VALUES (:id, :name, 1)"), owner)
            sql.execute(text(f"INSERT INTO jobs ({COLUMNS}) VALUES ({VALUES})"), {"id": job, "tenant": tenant})
        for job, seq, at in ((second, 1, 5.0), (first, 1, 3.0), (first, 2, 7.0)):
            sql.execute(text(TOLD), {"job": job, "seq": seq, "at": at})

    upgrade(owner_url)
    with engine.begin() as sql:
        new = TOLD.replace("(job,", "(tenant, job,").replace("(:job,", "(:tenant, :job,")
        sql.execute(text(new), {"tenant": owners[second], "job": second, "seq": 2, "at": 1.0})
    with engine.connect() as sql:
        rows = sql.execute(text("SELECT job, seq, tenant FROM events ORDER BY position")).all()
        counted = sql.execute(text("SELECT count(*) FROM tallies")).scalar_one()
    engine.dispose()

    order = [(first, 1), (second, 1), (first, 2), (second, 2)]
    assert [tuple(row) for row in rows] == [(job, seq, owners[job]) for job, seq in order]
    assert counted == 0
