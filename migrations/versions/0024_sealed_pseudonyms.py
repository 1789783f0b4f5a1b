"""room for the sealed pseudonyms of erasures, as text of any length"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite takes texts of any length, whatever was declared, and would copy the whole table to have it said.
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("erasures", "pseudonym", existing_type=sa.String(length=64), type_=sa.Text())


def downgrade() -> None:
    """What is sealed stays sealed, and the column as long as that takes."""
