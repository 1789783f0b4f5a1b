"""what the machine of a worker can do"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("workers") as table:
        table.add_column(sa.Column("pace", sa.Double(), nullable=True))
        table.add_column(sa.Column("floats_per_s", sa.Double(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("workers") as table:
        table.drop_column("floats_per_s")
        table.drop_column("pace")
