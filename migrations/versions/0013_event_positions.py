"""where an event stands among all events, and what has been counted of them"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# In the order in which they happened, as far as anybody can tell now.
BACKFILL = """
UPDATE events SET position = numbered.position
FROM (SELECT job, seq, row_number() OVER (ORDER BY at, job, seq) AS position FROM events) AS numbered
WHERE numbered.job = events.job AND numbered.seq = events.seq
"""
# By triggers, so that a restored backup keeps its numbers.
# SQLite has one writer: numbers are committed in their order. By the clock, so that a number whose row was deleted is
# not given again.
SQLITE_TRIGGER = """
CREATE TRIGGER place_event AFTER INSERT ON events WHEN NEW.position IS NULL
BEGIN
    UPDATE events SET
        position = max(
            coalesce((SELECT max(position) FROM events), 0) + 1,
            CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
        )
    WHERE job = NEW.job AND seq = NEW.seq;
END
"""
# A transaction says, before it takes its first number, which number was the last then, and until it has ended:
# whoever reads up to the least of these misses nobody (shared/feed.py).
POSTGRESQL_FUNCTION = """
CREATE FUNCTION place_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_given bigint;
BEGIN
    SELECT last_value INTO last_given FROM events_position;
    IF NEW.position IS NOT NULL THEN
        PERFORM setval('events_position', greatest(NEW.position, last_given));
        RETURN NEW;
    END IF;
    IF current_setting('etude.placing', true) IS DISTINCT FROM txid_current()::text THEN
        PERFORM pg_advisory_xact_lock_shared((1::bigint << 62) + last_given);
        PERFORM set_config('etude.placing', txid_current()::text, true);
    END IF;
    NEW.position := nextval('events_position');
    RETURN NEW;
END
$$
"""


def upgrade() -> None:
    op.add_column("events", sa.Column("position", sa.BigInteger(), nullable=True))
    op.execute(BACKFILL)
    op.create_index("ix_events_position", "events", ["position"])
    op.create_index("ix_events_tenant_position", "events", ["tenant", "position"], unique=True)
    if op.get_bind().dialect.name == "sqlite":
        op.execute(SQLITE_TRIGGER)
    else:
        op.execute("CREATE SEQUENCE events_position")
        op.execute("SELECT setval('events_position', (SELECT coalesce(max(position), 0) + 1 FROM events))")
        op.execute(POSTGRESQL_FUNCTION)
        op.execute("CREATE TRIGGER place_event BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION place_event()")
    op.add_column("workers", sa.Column("memory_bytes", sa.BigInteger(), nullable=True))
    op.create_table(
        "tallies",
        sa.Column("series", sa.String(32), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("label", sa.String(32), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("series", "action", "label", "bucket", name="pk_tallies"),
    )


def downgrade() -> None:
    op.drop_table("tallies")
    with op.batch_alter_table("workers") as table:
        table.drop_column("memory_bytes")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER place_event")
    else:
        op.execute("DROP TRIGGER place_event ON events")
        op.execute("DROP FUNCTION place_event()")
        op.execute("DROP SEQUENCE events_position")
    op.drop_index("ix_events_tenant_position", "events")
    op.drop_index("ix_events_position", "events")
    with op.batch_alter_table("events") as table:
        table.drop_column("position")
