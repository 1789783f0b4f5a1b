"""parent"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Of trials alone, which most jobs are not: these cost the others nothing.
INDEXES = (("ix_jobs_parent", ["parent", "id"]), ("ix_jobs_trials_state", ["state", "parent"]))


def upgrade() -> None:
    # Without a value for what an older web process submits: such a job is nobody's trial.
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("parent", sa.String(length=40), nullable=True))
        for name, columns in INDEXES:
            where = sa.text("parent IS NOT NULL")
            batch_op.create_index(name, columns, unique=False, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        for name, _ in INDEXES:
            batch_op.drop_index(name)
        batch_op.drop_column("parent")
