"""room for sealed names, as text of any length, and the key of a chunk's file beside its output, to be sealed"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

COLUMNS = {
    "tenants": {"name": 255},
    "keys": {"name": 255},
    "answers": {"key": 255},
    "datasets": {"name": 255},
    "dataset_files": {"name": 255},
    "rights_entries": {"consent_basis": 255, "holder": 255, "source": 255, "reason": 255},
    "jobs": {"model": 255},
    "job_labels": {"name": 64, "value": 255},
    "schedules": {"name": 255},
    "models": {"name": 255},
    "aliases": {"alias": 64, "reason": 255},
    "erasures": {"dataset": 255},
}


KEYS = {
    "sqlite": "UPDATE score_chunks SET key = json_extract(output, '$.file.key') WHERE output IS NOT NULL",
    "postgresql": "UPDATE score_chunks SET key = output -> 'file' ->> 'key' WHERE output IS NOT NULL",
}


def upgrade() -> None:
    op.add_column("score_chunks", sa.Column("key", sa.Text(), nullable=True))
    op.execute(KEYS[op.get_bind().dialect.name])
    op.create_index("ix_score_chunks_key", "score_chunks", ["key"])
    for table, columns in COLUMNS.items():
        for name, length in columns.items():
            _lengthen(table, name, length)


def downgrade() -> None:
    op.drop_index("ix_score_chunks_key", "score_chunks")
    op.drop_column("score_chunks", "key")
    # What is sealed stays sealed, and the columns as long as that takes.


def _lengthen(table: str, name: str, length: int) -> None:
    # SQLite takes texts of any length, whatever was declared, and would copy the whole table to have it said.
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column(table, name, existing_type=sa.String(length=length), type_=sa.Text())
