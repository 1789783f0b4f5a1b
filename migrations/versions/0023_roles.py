"""what is written once stays, whoever asks: heads go on by one, only the owner forgets, SQLite replaces no row"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

SAID = "rows of the audit log are never changed, and only those before its kept_from are let go of"
HEADS = "a head of the audit log goes on by one row, or lets go of rows before it"
LEDGER = "entries of the rights ledger are never changed or deleted"
GOES_ON = """NEW.tenant = OLD.tenant AND NEW.seq = OLD.seq + 1 AND NEW.hash <> OLD.hash
          AND NEW.kept_from = OLD.kept_from AND NEW.kept_previous = OLD.kept_previous"""
LETS_GO = """NEW.tenant = OLD.tenant AND NEW.seq = OLD.seq AND NEW.hash = OLD.hash
          AND NEW.kept_from > OLD.kept_from AND NEW.kept_from <= OLD.seq"""
KEPT = "kept_from FROM audit_heads WHERE audit_heads.tenant = OLD.tenant"

# REPLACE takes away whatever has the key or the rowid, and no trigger of DELETE hears of it.
KEYS = (
    ("audit_log", "tenant = NEW.tenant AND seq = NEW.seq", SAID),
    ("audit_heads", "tenant = NEW.tenant", HEADS),
    ("rights_entries", "dataset = NEW.dataset AND number = NEW.number", LEDGER),
)
SQLITE = {
    **{
        f"{table}_is_not_replaced": f"""BEFORE INSERT ON {table}
        WHEN EXISTS (SELECT 1 FROM {table} WHERE rowid = NEW.rowid OR ({same}))
        BEGIN SELECT RAISE(ABORT, '{said}'); END"""  # noqa: S608
        for table, same, said in KEYS
    },
    "audit_heads_goes_on": f"""BEFORE UPDATE ON audit_heads
        WHEN NEW.rowid <> OLD.rowid OR NOT (({GOES_ON}) OR ({LETS_GO}))
        BEGIN SELECT RAISE(ABORT, '{HEADS}'); END""",
    "audit_heads_is_not_deleted": f"""BEFORE DELETE ON audit_heads
        BEGIN SELECT RAISE(ABORT, '{HEADS}'); END""",
}

# Whoever has the rights of the table's owner: a superuser, too. By its schema, for a temporary table may hide any.
IS_OWNER = "pg_has_role(current_user, (SELECT relowner FROM pg_catalog.pg_class WHERE oid = TG_RELID), 'USAGE')"
LOG_GUARD = """CREATE OR REPLACE FUNCTION audit_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'DELETE'{owner} THEN
            IF OLD.seq < coalesce((SELECT {kept}), 0) THEN RETURN OLD; END IF;
          END IF;
          RAISE EXCEPTION '{said}';
        END $$"""
POSTGRESQL = (
    LOG_GUARD.format(owner=f" AND {IS_OWNER}", kept=KEPT, said=SAID),
    f"""CREATE FUNCTION audit_heads_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'UPDATE' THEN
            IF {GOES_ON} THEN RETURN NEW; END IF;
            IF {LETS_GO} AND {IS_OWNER} THEN RETURN NEW; END IF;
          END IF;
          RAISE EXCEPTION '{HEADS}';
        END $$""",
    """CREATE TRIGGER audit_heads_is_kept BEFORE UPDATE OR DELETE ON audit_heads
       FOR EACH ROW EXECUTE FUNCTION audit_heads_guard()""",
    """CREATE TRIGGER audit_heads_is_not_emptied BEFORE TRUNCATE ON audit_heads
       FOR EACH STATEMENT EXECUTE FUNCTION audit_heads_guard()""",
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in POSTGRESQL:
            op.execute(statement)
        return
    for name, rest in SQLITE.items():
        op.execute(f"CREATE TRIGGER {name} {rest}")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in ("is_kept", "is_not_emptied"):
            op.execute(f"DROP TRIGGER audit_heads_{name} ON audit_heads")
        op.execute("DROP FUNCTION audit_heads_guard()")
        op.execute(LOG_GUARD.format(owner="", kept=KEPT, said=SAID))
        return
    for name in SQLITE:
        op.execute(f"DROP TRIGGER {name}")
