"""cost"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without values for what an older web process submits: such a job tells no estimate, and nothing is reused of it.
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("estimate", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("fingerprint", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("code", sa.String(length=64), nullable=True))
        batch_op.create_index("ix_jobs_tenant_fingerprint", ["tenant", "fingerprint"], unique=False)
        batch_op.create_index("ix_jobs_alike", ["action", "kind", "state", "id"], unique=False)
        batch_op.create_index("ix_jobs_tenant_ended_at", ["tenant", "ended_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_tenant_ended_at")
        batch_op.drop_index("ix_jobs_alike")
        batch_op.drop_index("ix_jobs_tenant_fingerprint")
        batch_op.drop_column("code")
        batch_op.drop_column("fingerprint")
        batch_op.drop_column("estimate")
