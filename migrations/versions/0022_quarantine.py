"""files that ended a decoder"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

SERVED = "current_setting('etude.tenant', true)"
MINE = f"tenant = {SERVED} OR {SERVED} = '*'"


def upgrade() -> None:
    op.create_table(
        "quarantine",
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("mark", sa.String(64), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("release", sa.String(32), nullable=False),
        sa.Column("job", sa.String(40), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("fk_quarantine_tenant")),
        sa.ForeignKeyConstraint(["tenant", "job"], ["jobs.tenant", "jobs.id"], name=op.f("fk_quarantine_tenant_job")),
        sa.PrimaryKeyConstraint("tenant", "mark", "place", name=op.f("pk_quarantine")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE quarantine ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE quarantine FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON quarantine USING ({MINE}) WITH CHECK ({MINE})")


def downgrade() -> None:
    # Its policy goes with the table.
    op.drop_table("quarantine")
