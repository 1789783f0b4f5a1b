"""The role that web and workers connect as. It owns none of our tables: row-level security holds for it, logs are kept.

Said at each upgrade by the tables' owner, whatever was granted before.
"""

from psycopg import Connection as Driver
from sqlalchemy import URL, Connection, make_url, text

from shared.sealing import key_tables
from shared.settings import Settings

# Where searches write their trials, in tables that Optuna makes and may alter itself (worker/notebook.py).
STUDIES = "studies"
ALL = "SELECT, INSERT, UPDATE, DELETE"
# Rows that are written once; and what nobody but a migration writes.
KEPT, READ = ("audit_log", "rights_entries"), ("alembic_version",)

FLAGS = text(
    "SELECT rolsuper OR rolbypassrls AS is_above, rolname = current_user AS is_owner"
    " FROM pg_roles WHERE rolname = :name"
)
SCHEMA_OWNER = text("SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = :schema")
STRANGE = text(
    "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = :schema AND tableowner <> current_user"
)  # fmt: skip
MINE = text(
    "SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || oid::regclass FROM pg_class"
    " WHERE relnamespace = to_regnamespace(:schema) AND relkind IN ('r', 'S')"
    " AND pg_get_userbyid(relowner) = current_user"
)


class RoleWrong(Exception):
    """Says why this role cannot be the service's."""


def admit(sql: Connection, chosen: Settings) -> None:
    """Make the role of `app_database_url`, unless it is there, and let it do what the service does, and no more.

    Its password becomes the URL's, if that has one. Raises RoleWrong for a role that row-level security does not hold.
    """
    app = make_url(chosen.app_database_url)
    role = _make(sql, app)
    _lend_tables(sql, role)
    if chosen.keys_url == chosen.database_url:
        _lend_keys(sql, role)
    _lend_studies(sql, role, str(app.username))
    # Its own earlier grants would let it make schemas, and tables in them that hide ours.
    sql.exec_driver_sql(f"REVOKE CREATE ON DATABASE {_quoted(sql, str(sql.engine.url.database))} FROM {role}")


def _make(sql: Connection, app: URL) -> str:
    """Returns its name as SQL has it."""
    if not app.username:
        raise RoleWrong("ETUDE_APP_DATABASE_URL names no role: postgresql://ROLE:PASSWORD@…")
    role = _quoted(sql, app.username)
    flags = sql.execute(FLAGS, {"name": app.username}).one_or_none()
    if flags is None:
        sql.exec_driver_sql(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS")
    elif flags.is_owner:
        raise RoleWrong(f"ETUDE_APP_DATABASE_URL names {role}, who owns the tables: name another role.")
    elif flags.is_above:
        raise RoleWrong(
            f"ETUDE_APP_DATABASE_URL names {role}, for whom row-level security does not hold: name another."
        )
    if app.password:
        # As the server keeps it: a statement in its log tells nobody the password.
        sql.exec_driver_sql(f"ALTER ROLE {role} PASSWORD '{_scrambled(sql, app)}'")
    return role


def _scrambled(sql: Connection, app: URL) -> str:
    driver = sql.connection.driver_connection
    assert isinstance(driver, Driver)
    said = driver.pgconn.encrypt_password(str(app.password).encode(), str(app.username).encode(), b"scram-sha-256")
    return said.decode()


def _lend_tables(sql: Connection, role: str) -> None:
    for statement in (
        f"GRANT {ALL} ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {ALL} ON TABLES TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO {role}",
        f"REVOKE UPDATE, DELETE ON {', '.join(KEPT)} FROM {role}",
        f"REVOKE INSERT, UPDATE, DELETE ON {', '.join(READ)} FROM {role}",
        # A head goes on, and is held while it does; which of its rows are kept is its owner's to say.
        f"REVOKE UPDATE, DELETE ON audit_heads FROM {role}",
        f"GRANT UPDATE (seq, hash) ON audit_heads TO {role}",
    ):
        sql.exec_driver_sql(statement)


def _lend_keys(sql: Connection, role: str) -> None:
    schema = key_tables.SCHEMA
    key_tables.make(sql)
    # Of a release in which whoever came first made them.
    if sql.execute(SCHEMA_OWNER, {"schema": schema}).scalar_one() != sql.exec_driver_sql("SELECT user").scalar_one():
        sql.exec_driver_sql(f"ALTER SCHEMA {schema} OWNER TO CURRENT_USER")
    for table in sql.execute(STRANGE, {"schema": schema}).scalars().all():
        sql.exec_driver_sql(f"ALTER TABLE {schema}.{table} OWNER TO CURRENT_USER")
    sql.exec_driver_sql(f"REVOKE CREATE ON SCHEMA {schema} FROM {role}")
    sql.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    sql.exec_driver_sql(f"GRANT {ALL} ON ALL TABLES IN SCHEMA {schema} TO {role}")
    sql.exec_driver_sql(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {ALL} ON TABLES TO {role}")


def _lend_studies(sql: Connection, role: str, name: str) -> None:
    """A schema for the role to make tables in; what others made there before it is lent."""
    owner = sql.execute(SCHEMA_OWNER, {"schema": STUDIES}).scalar_one_or_none()
    if owner == name:
        return
    if owner is None:
        sql.exec_driver_sql(f"CREATE SCHEMA {STUDIES}")
    sql.exec_driver_sql(f"GRANT USAGE, CREATE ON SCHEMA {STUDIES} TO {role}")
    for thing in sql.execute(MINE, {"schema": STUDIES}).scalars().all():
        sql.exec_driver_sql(f"GRANT ALL ON {thing} TO {role}")


def _quoted(sql: Connection, name: str) -> str:
    return sql.dialect.identifier_preparer.quote_identifier(name)
