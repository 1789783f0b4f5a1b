"""every row names its tenant, refers to none of another's, and PostgreSQL shows it to nobody else

The service stands still while this runs: one scan of each table to fill the column, one to check it, and on SQLite a
copy. Measured: docs/operations.md.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# What is referred to by tenant and id, and which of them had an index of these already, not a unique one.
PARENTS = ("datasets", "jobs", "schedules", "webhooks", "models", "versions")
INDEXED = ("datasets", "jobs", "webhooks")
# Each child's columns that name a parent; by the first its tenant is found.
CHILDREN = {
    "dataset_files": {"dataset": "datasets"},
    "tracks": {"dataset": "datasets"},
    "job_labels": {"job": "jobs"},
    "attempts": {"job": "jobs"},
    "events": {"job": "jobs"},
    "epochs": {"job": "jobs"},
    "outputs": {"job": "jobs"},
    "label_decisions": {"job": "jobs"},
    "score_chunks": {"job": "jobs"},
    "fires": {"schedule": "schedules", "job": "jobs"},
    "deliveries": {"webhook": "webhooks"},
    "versions": {"model": "models", "job": "jobs"},
    "aliases": {"model": "models", "version": "versions"},
}
CASCADING = {"deliveries": "CASCADE"}
UNIQUE_OF_VERSIONS = (["job"], ["model", "number"])
OWNED = (
    "keys",
    "answers",
    "audit_heads",
    "audit_log",
    "datasets",
    "features",
    "jobs",
    "schedules",
    "webhooks",
    "models",
    *CHILDREN,
)
# Indexes that now begin with the tenant, for nobody is asked of all tenants' any more.
WIDENED = {
    "ix_jobs_alike": ("jobs", ["action", "kind", "state", "id"]),
    "ix_job_labels_name_value": ("job_labels", ["name", "value", "job"]),
}
SERVED = "current_setting('etude.tenant', true)"

# What clients poll, in one message: by itself, a statement outside a transaction could not be told whose rows it sees.
GLANCE = """
CREATE FUNCTION glance(job text, of text) RETURNS TABLE (state varchar, revision integer) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('etude.tenant', of, true);
    RETURN QUERY SELECT jobs.state, jobs.revision FROM jobs WHERE jobs.id = job AND jobs.tenant = of;
END $$
"""


def upgrade() -> None:
    for child, parents in CHILDREN.items():
        _fill(child, parents)
    for table in PARENTS:
        if table in INDEXED:
            op.drop_index(f"ix_{table}_tenant_id", table)
        if table not in CHILDREN:
            op.create_index(f"ix_{table}_tenant_id", table, ["tenant", "id"], unique=True)
    for child, parents in CHILDREN.items():
        _bind(child, parents)
    for name, (table, columns) in WIDENED.items():
        op.drop_index(name, table)
        op.create_index(name, table, ["tenant", *columns])
    if op.get_context().dialect.name == "postgresql":
        _guard()


def _fill(child: str, parents: dict[str, str]) -> None:
    (column, parent), *_ = parents.items()
    with op.batch_alter_table(child) as table:
        table.add_column(sa.Column("tenant", sa.String(length=40), nullable=True))
    found = f"SELECT {parent}.tenant FROM {parent} WHERE {parent}.id = {child}.{column}"  # noqa: S608 — names of ours
    op.execute(f"UPDATE {child} SET tenant = ({found})")  # noqa: S608 — names of ours


def _bind(child: str, parents: dict[str, str]) -> None:
    with op.batch_alter_table(child) as table:
        table.alter_column("tenant", existing_type=sa.String(length=40), nullable=False)
        for column, parent in parents.items():
            table.drop_constraint(f"fk_{child}_{column}", type_="foreignkey")
            named, referred = ["tenant", column], ["tenant", "id"]
            table.create_foreign_key(
                f"fk_{child}_tenant_{column}", parent, named, referred, ondelete=CASCADING.get(child)
            )
        if child == "versions":
            for columns in UNIQUE_OF_VERSIONS:
                table.drop_constraint(f"uq_versions_{'_'.join(columns)}", type_="unique")
                table.create_unique_constraint(f"uq_versions_tenant_{'_'.join(columns)}", ["tenant", *columns])
            table.create_index("ix_versions_tenant_id", ["tenant", "id"], unique=True)


def _guard() -> None:
    """Row-level security, forced upon the owner, too; no tenant set is no row."""
    for table in (*OWNED, "tenants"):
        column = "id" if table == "tenants" else "tenant"
        mine = f"{column} = {SERVED} OR {SERVED} = '*'"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} USING ({mine}) WITH CHECK ({mine})")
    # Whose a key is, is not known before it is looked up: by its id, one row, to be read.
    op.execute("CREATE POLICY presented ON keys FOR SELECT USING (id = current_setting('etude.key', true))")
    # And whether that tenant is suspended.
    shown = "SELECT keys.tenant FROM keys WHERE keys.id = current_setting('etude.key', true)"
    op.execute(f"CREATE POLICY presented ON tenants FOR SELECT USING (id = ({shown}))")
    op.execute(GLANCE)


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        _open()
    for name, (table, columns) in WIDENED.items():
        op.drop_index(name, table)
        op.create_index(name, table, columns)
    for child, parents in reversed(CHILDREN.items()):
        _loosen(child, parents)
    for table in PARENTS:
        if table not in CHILDREN:
            op.drop_index(f"ix_{table}_tenant_id", table)
        if table in INDEXED:
            op.create_index(f"ix_{table}_tenant_id", table, ["tenant", "id"])


def _open() -> None:
    op.execute("DROP FUNCTION glance")
    op.execute("DROP POLICY presented ON tenants")
    op.execute("DROP POLICY presented ON keys")
    for table in (*OWNED, "tenants"):
        op.execute(f"DROP POLICY tenant ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")


def _loosen(child: str, parents: dict[str, str]) -> None:
    with op.batch_alter_table(child) as table:
        for column, parent in parents.items():
            table.drop_constraint(f"fk_{child}_tenant_{column}", type_="foreignkey")
            table.create_foreign_key(f"fk_{child}_{column}", parent, [column], ["id"], ondelete=CASCADING.get(child))
        if child == "versions":
            table.drop_index("ix_versions_tenant_id")
            for columns in UNIQUE_OF_VERSIONS:
                table.drop_constraint(f"uq_versions_tenant_{'_'.join(columns)}", type_="unique")
                table.create_unique_constraint(f"uq_versions_{'_'.join(columns)}", columns)
        table.drop_column("tenant")
