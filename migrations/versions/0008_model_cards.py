"""model cards, and who moved an alias"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TEXTS = ("description", "intended_use", "limits", "licence")
# Without values for what was moved before, and for what an older process moves: nobody knows who it was.
OF_A_MOVE: dict[str, sa.types.TypeEngine[Any]] = {
    "how": sa.String(length=16),
    "key": sa.String(length=40),
    "job": sa.String(length=40),
    "reason": sa.String(length=255),
    "gate": sa.JSON(),
}


def upgrade() -> None:
    with op.batch_alter_table("models", schema=None) as batch_op:
        for name in TEXTS:
            batch_op.add_column(sa.Column(name, sa.Text(), nullable=True))
    with op.batch_alter_table("aliases", schema=None) as batch_op:
        for name, sort in OF_A_MOVE.items():
            batch_op.add_column(sa.Column(name, sort, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("aliases", schema=None) as batch_op:
        for name in OF_A_MOVE:
            batch_op.drop_column(name)
    with op.batch_alter_table("models", schema=None) as batch_op:
        for name in TEXTS:
            batch_op.drop_column(name)
