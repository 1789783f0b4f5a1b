"""what was decided of the suspects of audits"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "label_decisions",
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("label", sa.JSON(), nullable=True),
        sa.Column("key", sa.String(length=40), nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.CheckConstraint("decision IN ('accept', 'reject')", name=op.f("ck_label_decisions_decision")),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_label_decisions_job")),
        sa.PrimaryKeyConstraint("job", "row", name=op.f("pk_label_decisions")),
    )


def downgrade() -> None:
    op.drop_table("label_decisions")
