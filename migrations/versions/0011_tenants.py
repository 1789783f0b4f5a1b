"""limits of a tenant, the life of a key, the audit log"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

LIMITS = ("stored_bytes_at_most", "queued_at_most", "running_at_most", "schedules_at_most", "compute_s_a_day")
KEPT = "kept_from FROM audit_heads WHERE audit_heads.tenant = OLD.tenant"
SAID = "rows of the audit log are never changed, and only those before its kept_from are let go of"
SQLITE = (
    f"""CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE ON audit_log
        BEGIN SELECT RAISE(ABORT, '{SAID}'); END""",
    f"""CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
        WHEN OLD.seq >= coalesce((SELECT {KEPT}), 0)
        BEGIN SELECT RAISE(ABORT, '{SAID}'); END""",
)
POSTGRESQL = (
    f"""CREATE FUNCTION audit_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'DELETE' THEN
            IF OLD.seq < coalesce((SELECT {KEPT}), 0) THEN RETURN OLD; END IF;
          END IF;
          RAISE EXCEPTION '{SAID}';
        END $$""",
    """CREATE TRIGGER audit_log_is_kept BEFORE UPDATE OR DELETE ON audit_log
       FOR EACH ROW EXECUTE FUNCTION audit_log_guard()""",
    """CREATE TRIGGER audit_log_is_not_emptied BEFORE TRUNCATE ON audit_log
       FOR EACH STATEMENT EXECUTE FUNCTION audit_log_guard()""",
)


def upgrade() -> None:
    for name in ("suspended_at", *LIMITS):
        op.add_column("tenants", sa.Column(name, sa.BigInteger() if name in LIMITS else sa.Double(), nullable=True))
    op.add_column("keys", sa.Column("rotated_to", sa.String(length=40), nullable=True))
    op.add_column("keys", sa.Column("last_used_at", sa.Double(), nullable=True))
    _create_log()
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)


def _create_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=True),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("object", sa.Text(), nullable=True),
        sa.Column("made", sa.String(length=40), nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=True),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("fk_audit_log_tenant")),
        sa.PrimaryKeyConstraint("tenant", "seq", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_tenant_key", "audit_log", ["tenant", "key", "seq"])
    op.create_table(
        "audit_heads",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("kept_from", sa.BigInteger(), nullable=False),
        sa.Column("kept_previous", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("fk_audit_heads_tenant")),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_audit_heads")),
    )


def downgrade() -> None:
    # Triggers go with their table.
    op.drop_table("audit_log")
    op.drop_table("audit_heads")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_log_guard()")
    for table, names in (("keys", ("last_used_at", "rotated_to")), ("tenants", (*LIMITS, "suspended_at"))):
        with op.batch_alter_table(table) as altered:
            for name in names:
                altered.drop_column(name)
