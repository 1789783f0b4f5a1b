"""What the schema says of tenants, in both catalogues: policies, composite keys; and that old rows get their tenant."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, Table, create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

from migrations.upgrade import upgrade
from shared import ids
from shared.sealing import key_tables
from shared.tables import Id, metadata
from tests import postgres_server
from worker import notebook

JOB = (
    "INSERT INTO jobs (id, tenant, action, queue, priority, datasets, params, labels, budget, state, attempt, fence,"
    " losses, tries, run_after, revision, created_at)"
    " VALUES ('{job}', '{tenant}', 'train', 'train', 0, '[]', '{{}}', '{{}}', '{{}}', 'queued', 0, 0, 0, 0, 0, 0, 0)"
)

# Columns that name a row and are bound by no key, by the reason.
LOOSE = {
    "it outlives what it names, which may be gone": (
        "aliases.job", "aliases.key", "audit_log.key", "erasures.key", "jobs.schedule", "jobs.version",
        "label_decisions.key", "rights_entries.key",
    ),
    "it names a row of any table": ("audit_log.made",),
    "it names a row of its own table, found by the tenant in the transaction that writes it": (
        "datasets.base", "datasets.copied_from", "jobs.parent", "keys.rotated_to",
    ),
}  # fmt: skip

# Schemas without policies, by the reason.
UNPOLICED = {
    key_tables.SCHEMA: "asked by the place of a file, before a tenant is known; what lies there is wrapped",
    notebook.SCHEMA: "made and altered by Optuna itself; trials, which nothing of ours reads",
}


@pytest.fixture
def older(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, database_url: str) -> str:
    """A database of the revision before, with a job, an event and an epoch of each of two tenants."""
    url = f"sqlite:///{tmp_path_factory.mktemp('older')}/etude.db"
    if database_url.startswith("postgresql"):
        server: postgres_server.Server = request.getfixturevalue("postgres")
        name = ids.new("ds")
        server.create_database(name)
        url = server.url(name)
    upgrade(url, "0010")
    engine = create_engine(url)
    with engine.begin() as sql:
        for tenant in ("a", "b"):
            sql.exec_driver_sql(f"INSERT INTO tenants (id, name, created_at) VALUES ('ten_{tenant}', '{tenant}', 0)")
            sql.exec_driver_sql(JOB.format(job=f"job_{tenant}", tenant=f"ten_{tenant}"))
            sql.exec_driver_sql(
                f"INSERT INTO events (job, seq, at, type, data) VALUES ('job_{tenant}', 1, 0, 'state', '{{}}')"
            )
            sql.exec_driver_sql(f"INSERT INTO epochs (job, epoch, metrics) VALUES ('job_{tenant}', 1, '{{}}')")
    engine.dispose()
    return url


@pytest.fixture
def engine(owner_url: str) -> Iterator[Engine]:
    made = create_engine(owner_url)
    yield made
    made.dispose()


def test_rows_of_before_get_the_tenant_of_what_they_belong_to(older: str) -> None:
    upgrade(older)

    made = create_engine(older)
    with made.connect() as sql:
        for table in ("events", "epochs"):
            rows = sql.exec_driver_sql(f"SELECT tenant, job FROM {table} ORDER BY job").all()
            assert [tuple(row) for row in rows] == [("ten_a", "job_a"), ("ten_b", "job_b")]
    made.dispose()


def test_a_row_cannot_refer_to_anothers_whatever_was_forgotten(engine: Engine) -> None:
    with engine.begin() as sql:
        for tenant in ("a", "b"):
            sql.exec_driver_sql(f"INSERT INTO tenants (id, name, created_at) VALUES ('ten_{tenant}', '{tenant}', 0)")
        sql.exec_driver_sql(JOB.format(job="job_a", tenant="ten_a"))

    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), engine.connect() as sql:
        if sql.dialect.name == "sqlite":
            sql.exec_driver_sql("PRAGMA foreign_keys=ON")
        sql.exec_driver_sql("INSERT INTO epochs (tenant, job, epoch, metrics) VALUES ('ten_b', 'job_a', 1, '{}')")


def test_every_table_of_a_tenant_refers_and_is_unique_by_tenant(engine: Engine) -> None:
    with engine.connect() as sql:
        assert unbound(sql) == []
        sql.exec_driver_sql("CREATE UNIQUE INDEX planted ON schedules (name)")
        assert unbound(sql) == ["schedules: unique name"]


def test_every_id_of_a_tenants_row_is_bound_to_the_tenant_or_says_why_not() -> None:
    """Whoever adds a column that names a row gives it a composite key, or a reason here."""
    loose = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        if "tenant" in table.c
        for column in table.c
        if column.type is Id and column.name not in ("id", "tenant") and not is_bound(table, column.name)
    }

    assert loose == {name for names in LOOSE.values() for name in names}


def is_bound(table: Table, column: str) -> bool:
    return any(key.column_keys == ["tenant", column] for key in table.foreign_key_constraints)


def unbound(sql: Connection) -> list[str]:
    """What in the schema does not begin with the tenant."""
    seen = inspect(sql)
    faults = []
    for table in seen.get_table_names():
        columns = {column["name"]: column for column in seen.get_columns(table)}
        if "tenant" not in columns:
            continue
        if columns["tenant"]["nullable"]:
            faults.append(f"{table}: null")
        unique = [each["column_names"] for each in seen.get_unique_constraints(table)]
        unique += [each["column_names"] for each in seen.get_indexes(table) if each["unique"]]
        faults += [f"{table}: unique {', '.join(map(str, names))}" for names in unique if names[0] != "tenant"]
        faults += [
            f"{table}: foreign {key['constrained_columns']}"
            for key in seen.get_foreign_keys(table)
            if key["referred_table"] != "tenants" and key["referred_columns"] != ["tenant", "id"]
        ]
    return faults


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("DROP POLICY tenant ON outputs", "outputs: no policy"),
        ("ALTER TABLE outputs NO FORCE ROW LEVEL SECURITY", "outputs: not forced"),
        ("ALTER TABLE outputs DISABLE ROW LEVEL SECURITY", "outputs: not enabled"),
        ("CREATE TABLE strange (tenant varchar(40) NOT NULL)", "strange: not enabled"),
        ("CREATE POLICY wide ON outputs USING (true)", "outputs: more policies"),
        ("CREATE SCHEMA more CREATE TABLE outputs (tenant varchar(40))", "more.outputs: not enabled"),
        ("CREATE TABLE etude_keys.strange (tenant varchar(40))", "etude_keys.strange: not one of the key store's"),
    ],
)
def test_every_table_of_a_tenant_is_guarded(engine: Engine, harm: str, said: str) -> None:
    with engine.begin() as sql:
        whole = unguarded(sql)
        sql.exec_driver_sql(harm)
        broken = unguarded(sql)
        sql.rollback()

    assert whole == [] and said in broken


def unguarded(sql: Connection) -> list[str]:
    """What the catalogue lacks of row-level security, for every table with a tenant and for the tenants themselves."""
    rows = sql.execute(
        text(
            "SELECT n.nspname AS schema, CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname"
            " AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,"
            " ARRAY(SELECT p.policyname || ' ' || p.cmd || ' ' || (p.qual IS NOT NULL) || ' '"
            " || (p.with_check IS NOT NULL) FROM pg_policies p"
            " WHERE (p.schemaname, p.tablename) = (n.nspname, c.relname) ORDER BY 1) AS policies"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'p')"
            " AND (c.relname = 'tenants' OR EXISTS ("
            " SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant'))"
        )
    ).all()
    policed = [row for row in rows if row.schema not in UNPOLICED]
    assert len(policed) > 20
    strange = {row.name for row in rows if row.schema in UNPOLICED} - {
        f"{table}" for table in key_tables.metadata.tables
    }
    return [f"{row.name}: {fault}" for row in policed for fault in _faults(row.name, row)] + [
        f"{name}: not one of the key store's" for name in strange
    ]


def _faults(name: str, row: object) -> Iterator[str]:
    enabled, forced, policies = (getattr(row, each) for each in ("enabled", "forced", "policies"))
    expected = ["presented SELECT true false"] if name in ("keys", "tenants") else []
    if not enabled:
        yield "not enabled"
    if not forced:
        yield "not forced"
    if "tenant ALL true true" not in policies:
        yield "no policy"
    if len(policies) > 1 + len(expected):
        yield "more policies"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_role_of_the_tests_is_subject_to_it_all(database_url: str, engine: Engine) -> None:
    with engine.connect() as sql:
        mine = f"SELECT count(*) FROM pg_tables WHERE tableowner = '{postgres_server.APP}'"
        assert sql.exec_driver_sql(mine).scalar_one() == 0
        flags = f"SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = '{postgres_server.APP}'"
        assert tuple(sql.exec_driver_sql(flags).one()) == (False, False)
