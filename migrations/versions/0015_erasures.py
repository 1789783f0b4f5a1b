"""erasures with their receipts, and which versions have learned from what was erased"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SERVED = "current_setting('etude.tenant', true)"
MINE = f"tenant = {SERVED} OR {SERVED} = '*'"


def upgrade() -> None:
    op.add_column("versions", sa.Column("erased_data", sa.JSON(), nullable=True))
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("dataset", sa.String(255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("pseudonym", sa.String(64), nullable=True),
        sa.Column("models", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("key", sa.String(40), nullable=False),
        sa.Column("job", sa.String(40), nullable=False),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.Column("receipt", sa.JSON(), nullable=True),
        sa.Column("signature", sa.String(128), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("done_at", sa.Double(), nullable=True),
        sa.CheckConstraint("kind IN ('dataset', 'listener', 'track')", name=op.f("ck_erasures_kind")),
        sa.CheckConstraint("models IN ('keep', 'delete', 'retrain')", name=op.f("ck_erasures_models")),
        sa.CheckConstraint("state IN ('decided', 'done')", name=op.f("ck_erasures_state")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("fk_erasures_tenant")),
        sa.ForeignKeyConstraint(["tenant", "job"], ["jobs.tenant", "jobs.id"], name=op.f("fk_erasures_tenant_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index("ix_erasures_tenant_id", "erasures", ["tenant", "id"], unique=True)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE erasures ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE erasures FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON erasures USING ({MINE}) WITH CHECK ({MINE})")


def downgrade() -> None:
    # Its policy goes with the table.
    op.drop_table("erasures")
    with op.batch_alter_table("versions") as table:
        table.drop_column("erased_data")
