"""a ledger of rights: on what terms a dataset may be used, and who agreed"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SERVED = "current_setting('etude.tenant', true)"
MINE = f"tenant = {SERVED} OR {SERVED} = '*'"
SAID = "entries of the rights ledger are never changed or deleted"
SQLITE = tuple(
    f"""CREATE TRIGGER rights_entries_{name} BEFORE {verb} ON rights_entries
        BEGIN SELECT RAISE(ABORT, '{SAID}'); END"""
    for name, verb in (("is_not_changed", "UPDATE"), ("is_not_deleted", "DELETE"))
)
POSTGRESQL = (
    "ALTER TABLE rights_entries ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE rights_entries FORCE ROW LEVEL SECURITY",
    f"CREATE POLICY tenant ON rights_entries USING ({MINE}) WITH CHECK ({MINE})",
    f"""CREATE FUNCTION rights_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{SAID}'; END $$""",
    """CREATE TRIGGER rights_entries_is_kept BEFORE UPDATE OR DELETE ON rights_entries
       FOR EACH ROW EXECUTE FUNCTION rights_guard()""",
    """CREATE TRIGGER rights_entries_is_not_emptied BEFORE TRUNCATE ON rights_entries
       FOR EACH STATEMENT EXECUTE FUNCTION rights_guard()""",
)


def upgrade() -> None:
    op.add_column("datasets", sa.Column("copied_from", sa.String(length=40), nullable=True))
    op.create_table(
        "rights_entries",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("dataset", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("track", sa.Text(), nullable=True),
        sa.Column("licence", sa.String(length=64), nullable=True),
        sa.Column("commercial", sa.String(length=8), nullable=True),
        sa.Column("consent", sa.String(length=8), nullable=True),
        sa.Column("consent_basis", sa.String(length=255), nullable=True),
        sa.Column("consent_until", sa.Double(), nullable=True),
        sa.Column("holder", sa.String(length=255), nullable=True),
        sa.Column("source", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("key", sa.String(length=40), nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.CheckConstraint("commercial IN ('yes', 'no', 'unknown')", name=op.f("ck_rights_entries_commercial")),
        sa.CheckConstraint("consent IN ('granted', 'refused', 'unknown')", name=op.f("ck_rights_entries_consent")),
        sa.ForeignKeyConstraint(
            ["tenant", "dataset"], ["datasets.tenant", "datasets.id"], name=op.f("fk_rights_entries_tenant_dataset")
        ),
        sa.PrimaryKeyConstraint("dataset", "number", name=op.f("pk_rights_entries")),
    )
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)


def downgrade() -> None:
    # Triggers and the policy go with their table.
    op.drop_table("rights_entries")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION rights_guard()")
    with op.batch_alter_table("datasets") as table:
        table.drop_column("copied_from")
