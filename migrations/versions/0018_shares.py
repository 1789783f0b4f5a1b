"""shares of tenants by a clock that runs only while somebody is served"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tenants", sa.Column("served_from", sa.Double(), server_default="0", nullable=False))
    # They were moments; all begin alike.
    op.execute("UPDATE tenants SET served_until = 0")


def downgrade() -> None:
    op.drop_column("tenants", "served_from")
    op.execute("UPDATE tenants SET served_until = 0")
