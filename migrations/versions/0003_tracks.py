"""tracks"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tracks",
        sa.Column("dataset", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["dataset"], ["datasets.id"], name=op.f("fk_tracks_dataset")),
        sa.PrimaryKeyConstraint("dataset", "number", name=op.f("pk_tracks")),
    )
    op.create_index(op.f("ix_tracks_content"), "tracks", ["content"])
    op.create_table(
        "features",
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("extractor", sa.String(64), nullable=False),
        sa.Column("data", sa.JSON()),
        sa.Column("key", sa.Text()),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("fk_features_tenant")),
        sa.PrimaryKeyConstraint("tenant", "content", "extractor", name=op.f("pk_features")),
    )
    op.create_index(op.f("ix_features_key"), "features", ["key"])


def downgrade() -> None:
    op.drop_table("features")
    op.drop_table("tracks")
