"""The role that an upgrade makes for the service, by the step that docker-compose.yml runs, on a real PostgreSQL."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ProgrammingError

from migrations import roles
from migrations.upgrade import admit, upgrade
from shared import ids
from shared.sealing import key_tables
from shared.settings import read
from tests import postgres_server
from worker import notebook

OWN = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE tableowner = '{role}'"


@dataclass
class Place:
    """A migrated database, its owner, and a role of which nobody has heard yet."""

    server: postgres_server.Server
    owner: Engine
    app: URL

    @property
    def role(self) -> str:
        return str(self.app.username)

    def admit(self, app: URL | None = None, owner: URL | None = None) -> None:
        url = (owner or self.owner.url).render_as_string(hide_password=False)
        asked = (app or self.app).render_as_string(hide_password=False)
        admit(read({"ETUDE_DATABASE_URL": url, "ETUDE_APP_DATABASE_URL": asked}))


@pytest.fixture
def place(postgres: postgres_server.Server) -> Iterator[Place]:
    name = ids.new("ds")
    postgres.create_database(name)
    upgrade(postgres.url(name))
    role = f"app_{name}"
    owner = create_engine(postgres.url(name))
    yield Place(postgres, owner, make_url(postgres.url(name)).set(username=role, password="pass7word"))
    owner.dispose()
    postgres.drop_database(name)
    other = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with other.connect() as sql:
        for made in (role, f"{role}_owner"):
            sql.exec_driver_sql(f'DROP ROLE IF EXISTS "{made}"')
    other.dispose()


def privileges(sql: Connection, role: str, schema: str) -> dict[str, set[str]]:
    asked = (
        "SELECT table_name, privilege_type FROM information_schema.role_table_grants"
        f" WHERE grantee = '{role}' AND table_schema = '{schema}'"
    )
    found: dict[str, set[str]] = {}
    for table, privilege in sql.exec_driver_sql(asked):
        found.setdefault(table, set()).add(privilege)
    return found


def lack(app: Engine, statement: str) -> bool:
    """Whether the role may not do this."""
    with pytest.raises(ProgrammingError) as refusal, app.begin() as sql:
        sql.exec_driver_sql(statement)
    return re.search("permission denied|must be owner", str(refusal.value)) is not None


def test_the_role_reads_and_writes_and_owns_nothing(place: Place) -> None:
    place.admit()
    place.admit()

    with place.owner.connect() as sql:
        flags = (
            f"SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = '{place.role}'"
        )
        assert tuple(sql.exec_driver_sql(flags).one()) == (True, False, False, False)
        assert sql.exec_driver_sql(OWN.format(role=place.role)).all() == []
        mine = privileges(sql, place.role, "public")
        everything = {"SELECT", "INSERT", "UPDATE", "DELETE"}
        others = {table for table, granted in mine.items() if granted != everything}
        assert others == {"audit_log", "rights_entries", "alembic_version", "audit_heads"} and len(mine) > 20
        assert mine["audit_log"] == mine["rights_entries"] == {"SELECT", "INSERT"}
        assert mine["alembic_version"] == {"SELECT"}
        assert set(privileges(sql, place.role, key_tables.SCHEMA)) == {
            "store",
            "tenant_keys",
            "object_keys",
            "plain_files",
        }


def test_its_password_is_the_one_of_the_url_and_follows_it(place: Place) -> None:
    for password in ("pass7word", "another1"):
        place.admit(place.app.set(password=password))
        with place.owner.connect() as sql:
            kept = sql.exec_driver_sql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{place.role}'").scalar_one()
        assert is_of(password, kept)

    there = place.app
    place.admit(
        URL.create(there.drivername, there.username, host=there.host, database=there.database, query=there.query)
    )
    with place.owner.connect() as sql:
        left = sql.exec_driver_sql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{place.role}'").scalar_one()
    assert left == kept


def is_of(password: str, kept: str) -> bool:
    """Whether a server lets in whoever has this password (RFC 5802)."""
    name, cost, _ = kept.split("$")
    rounds, salt = cost.split(":")
    stored = kept.split("$")[2].split(":")[0]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    client = hmac.digest(salted, b"Client Key", "sha256")
    return name == "SCRAM-SHA-256" and base64.b64decode(stored) == hashlib.sha256(client).digest()


def test_what_a_release_before_has_made_and_granted_becomes_the_same(place: Place) -> None:
    """As by hand, with a key store of the role's own, and trials that the superuser has written."""
    with place.owner.begin() as sql:
        role = f'"{place.role}"'
        for statement in (
            f"CREATE ROLE {role} LOGIN",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
            f'GRANT CREATE ON DATABASE "{sql.engine.url.database}" TO {role}',
            f"CREATE SCHEMA {notebook.SCHEMA}",
            f"CREATE TABLE {notebook.SCHEMA}.studies (study_id serial)",
            f"SET ROLE {role}",
        ):
            sql.exec_driver_sql(statement)
        key_tables.make(sql)
        assert len(sql.exec_driver_sql(OWN.format(role=place.role)).all()) == 4

    place.admit()

    app = create_engine(place.app)
    with place.owner.connect() as sql:
        assert sql.exec_driver_sql(OWN.format(role=place.role)).all() == []
    with app.begin() as sql:
        sql.exec_driver_sql(f"INSERT INTO {notebook.SCHEMA}.studies DEFAULT VALUES")
        sql.exec_driver_sql(f"CREATE TABLE {notebook.SCHEMA}.trials (trial_id serial)")
        sql.exec_driver_sql(f"DELETE FROM {key_tables.SCHEMA}.plain_files")
    assert all(
        lack(app, statement)
        for statement in (
            "UPDATE audit_log SET status = 200", "DELETE FROM rights_entries", "UPDATE audit_heads SET kept_from = 9",
            "UPDATE alembic_version SET version_num = '0001'", "CREATE SCHEMA hidden", "DROP SCHEMA etude_keys CASCADE",
            f"CREATE TABLE {key_tables.SCHEMA}.more (id int)", "TRUNCATE jobs", "CREATE ROLE another",
        )
    )  # fmt: skip
    app.dispose()


def test_tables_of_a_later_release_are_lent_as_they_are_made(place: Place) -> None:
    place.admit()
    with place.owner.begin() as sql:
        sql.exec_driver_sql("CREATE TABLE later (id serial)")

    app = create_engine(place.app)
    with app.begin() as sql:
        sql.exec_driver_sql("INSERT INTO later DEFAULT VALUES")
        assert sql.exec_driver_sql("DELETE FROM later").rowcount == 1
    app.dispose()


def test_an_owner_who_is_no_superuser_can_do_it(place: Place) -> None:
    database, name = ids.new("ds"), f"{place.role}_owner"
    place.server.create_database(database)
    with place.owner.connect().execution_options(isolation_level="AUTOCOMMIT") as sql:
        sql.exec_driver_sql(f'CREATE ROLE "{name}" LOGIN CREATEROLE')
        sql.exec_driver_sql(f'ALTER DATABASE "{database}" OWNER TO "{name}"')
    owner, app = place.owner.url.set(database=database, username=name), place.app.set(database=database)
    upgrade(owner.render_as_string(hide_password=False))

    place.admit(app, owner)
    engine = create_engine(app)
    with engine.begin() as sql:
        assert sql.exec_driver_sql("SELECT count(*) FROM jobs").scalar_one() == 0
        sql.exec_driver_sql(f"CREATE TABLE {notebook.SCHEMA}.trials (trial_id serial)")
    place.admit(app, owner)

    assert lack(engine, "DELETE FROM audit_log")
    engine.dispose()
    place.server.drop_database(database)


@pytest.mark.parametrize(
    ("harm", "said"), [("SUPERUSER", "does not hold"), ("BYPASSRLS", "does not hold"), (None, "who owns the tables")]
)
def test_a_role_that_policies_do_not_hold_is_refused_and_left_alone(place: Place, harm: str | None, said: str) -> None:
    named = place.app.set(username=place.owner.url.username) if harm is None else place.app
    if harm is not None:
        with place.owner.begin() as sql:
            sql.exec_driver_sql(f'CREATE ROLE "{place.role}" LOGIN {harm}')

    with pytest.raises(roles.RoleWrong, match=said):
        place.admit(named)

    with place.owner.connect() as sql:
        asked = f"SELECT rolpassword FROM pg_authid WHERE rolname = '{named.username}'"
        assert sql.exec_driver_sql(asked).scalar_one() is None


def test_without_a_role_of_its_own_nothing_is_made(place: Place) -> None:
    admit(read({"ETUDE_DATABASE_URL": place.owner.url.render_as_string(hide_password=False)}))

    with place.owner.connect() as sql:
        assert sql.exec_driver_sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{place.role}'").all() == []


def test_searches_write_where_the_role_may() -> None:
    assert roles.STUDIES == notebook.SCHEMA
