"""turns"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("tenants", schema=None) as batch_op:
        batch_op.add_column(sa.Column("served_until", sa.Double(), server_default="0", nullable=False))
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("expected_s", sa.Double(), server_default="1", nullable=False))
        # With a default, so that an older web process can still submit: what it submits has its turn at once.
        batch_op.add_column(sa.Column("turn_at", sa.Double(), server_default="0", nullable=False))
        batch_op.drop_index("ix_jobs_claim")
    op.execute("UPDATE jobs SET turn_at = created_at")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index("ix_jobs_claim", ["state", "queue", "priority", "turn_at", "id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_claim")
        batch_op.create_index("ix_jobs_claim", ["state", "queue", "priority", "id"], unique=False)
        batch_op.drop_column("turn_at")
        batch_op.drop_column("expected_s")
    with op.batch_alter_table("tenants", schema=None) as batch_op:
        batch_op.drop_column("served_until")
