"""by which rules the files of a dataset were masked as they came"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("datasets", sa.Column("masking", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("datasets", "masking")
