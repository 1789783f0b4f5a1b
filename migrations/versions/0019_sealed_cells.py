"""room for sealed cells: text of any length where names were"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

COLUMNS = ("description", "secret", "old_secret")


def upgrade() -> None:
    _change(sa.String(length=255), sa.Text())


def downgrade() -> None:
    # What is sealed stays sealed, and may be too long: an older release could not read it either.
    _change(sa.Text(), sa.String(length=255))


def _change(old: sa.types.TypeEngine[str], new: sa.types.TypeEngine[str]) -> None:
    with op.batch_alter_table("webhooks", schema=None) as batch_op:
        for name in COLUMNS:
            batch_op.alter_column(name, existing_type=old, type_=new)
