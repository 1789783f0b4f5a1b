"""chunks, schedules, webhooks"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("cron", sa.String(length=255), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("job", sa.JSON(), nullable=False),
        sa.Column("overlap", sa.String(length=16), nullable=False),
        sa.Column("misfire", sa.String(length=16), nullable=False),
        sa.Column("misfire_grace_s", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("error", sa.JSON()),
        sa.Column("next_at", sa.Double()),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("misfire IN ('skip', 'once', 'all')", name=op.f("ck_schedules_misfire")),
        sa.CheckConstraint("overlap IN ('skip', 'queue', 'replace')", name=op.f("ck_schedules_overlap")),
        sa.CheckConstraint("state IN ('active', 'paused')", name=op.f("ck_schedules_state")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("fk_schedules_tenant")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("tenant", "name", name=op.f("uq_schedules_tenant_name")),
    )
    op.create_index("ix_schedules_due", "schedules", ["state", "next_at"])
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("description", sa.String(length=255)),
        sa.Column("secret", sa.String(length=255), nullable=False),
        sa.Column("old_secret", sa.String(length=255)),
        sa.Column("old_secret_until", sa.Double()),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("error", sa.JSON()),
        sa.Column("failing_since", sa.Double()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'disabled')", name=op.f("ck_webhooks_state")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("fk_webhooks_tenant")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index("ix_webhooks_tenant_id", "webhooks", ["tenant", "id"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("webhook", sa.String(length=40), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("log", sa.JSON(), nullable=False),
        sa.Column("next_at", sa.Double()),
        sa.Column("lease_until", sa.Double()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name=op.f("ck_deliveries_state")),
        sa.ForeignKeyConstraint(["webhook"], ["webhooks.id"], name=op.f("fk_deliveries_webhook"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index("ix_deliveries_due", "deliveries", ["state", "next_at"])
    op.create_index("ix_deliveries_webhook_id", "deliveries", ["webhook", "id"])
    op.create_index("ix_deliveries_ended_at", "deliveries", ["ended_at"])
    op.create_table(
        "fires",
        sa.Column("schedule", sa.String(length=40), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("fired_at", sa.Double(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("job", sa.String(length=40)),
        sa.Column("error", sa.JSON()),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_fires_job")),
        sa.ForeignKeyConstraint(["schedule"], ["schedules.id"], name=op.f("fk_fires_schedule")),
        sa.PrimaryKeyConstraint("schedule", "due_at", name=op.f("pk_fires")),
    )
    op.create_index(op.f("ix_fires_job"), "fires", ["job"])
    op.create_index("ix_fires_outcome", "fires", ["outcome", "schedule"])
    op.create_table(
        "score_chunks",
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=255)),
        sa.Column("lease_until", sa.Double()),
        sa.Column("output", sa.JSON()),
        sa.Column("error", sa.JSON()),
        sa.Column("started_at", sa.Double()),
        sa.Column("ended_at", sa.Double()),
        sa.CheckConstraint(
            "(state = 'running') = (lease_until IS NOT NULL)", name=op.f("ck_score_chunks_lease_iff_running")
        ),
        sa.CheckConstraint("state IN ('open', 'running', 'done')", name=op.f("ck_score_chunks_state")),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_score_chunks_job")),
        sa.PrimaryKeyConstraint("job", "first", name=op.f("pk_score_chunks")),
    )
    op.create_index("ix_score_chunks_claim", "score_chunks", ["state", "job", "first"])
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("schedule", sa.String(length=40)))
        batch_op.create_index("ix_jobs_schedule", ["schedule", "id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_schedule")
        batch_op.drop_column("schedule")
    for table in ("score_chunks", "fires", "deliveries", "webhooks", "schedules"):
        op.drop_table(table)
