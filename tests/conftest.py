"""The real parts that tests lean on: settings in a folder of their own, both databases, storage, a tenant."""

import dataclasses
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, make_url

from migrations.upgrade import upgrade
from shared import ids, redis_server
from shared.containment import tier
from shared.containment.tier import Containment
from shared.database import Database, now
from shared.processes import die_with_parent
from shared.sealing import key_tables
from shared.sealing.key_store import KeyStore
from shared.settings import Settings, read
from shared.storage import Storage
from shared.tables import tenants
from shared.tenancy import EVERYONE
from tests import postgres_server
from tests.longest import FILES

PEPPER = "a pepper that is only good for tests"
ROOT_KEY = "7e57" * 16
TEMPLATE = "etude_template"
# Of SQLite it lies beside the database.
KEYS = "keys.db"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; all others in the order in which they were found."""
    places = {Path(__file__).parent / f"{name}.py": place for place, name in enumerate(FILES)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture
def a_machine_without_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel that confines by limits alone: what a decoder may do there must do no harm either."""
    monkeypatch.setattr(tier, "measured", lambda: Containment((), {}))


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    """One PostgreSQL for the session, with a migrated database to copy."""
    server = postgres_server.start()
    server.create_database(TEMPLATE)
    upgrade(server.url(TEMPLATE))
    server.admit_app(TEMPLATE)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy, and beside it a key store that has not begun."""
    path = tmp_path_factory.mktemp("template") / "etude.db"
    upgrade(f"sqlite:///{path}")
    make_key_tables(f"sqlite:///{path.with_name(KEYS)}")
    return path


def make_key_tables(url: str) -> None:
    """The tables of a key store, which take longer than all the rest of its beginning."""
    store = KeyStore(read({"ETUDE_PEPPER": PEPPER, "ETUDE_ROOT_KEY": ROOT_KEY, "ETUDE_KEYS_URL": url}))
    with store.transaction() as sql:
        key_tables.make(sql)
    store.close()


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A fresh, migrated SQLite database."""
    path = tmp_path / "etude.db"
    for name in (path.name, KEYS):
        (tmp_path / name).write_bytes(sqlite_template.with_name(name).read_bytes())
    (tmp_path / KEYS).chmod(0o600)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh, migrated database of each sort; every test of the data layer runs on both."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    server: postgres_server.Server = request.getfixturevalue("postgres")
    name = ids.new("ds")
    server.create_database(name, template=TEMPLATE)
    yield server.app_url(name)
    server.drop_database(name)


@pytest.fixture
def owner_url(request: pytest.FixtureRequest, database_url: str) -> str:
    """The same database for whoever owns its tables, and may migrate them."""
    if database_url.startswith("sqlite"):
        return database_url
    server: postgres_server.Server = request.getfixturevalue("postgres")
    return server.url(make_url(database_url).database or "")


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Settings with short leases, so that a lost worker is noticed within a test's patience."""
    given = {"ETUDE_PEPPER": PEPPER, "ETUDE_ROOT_KEY": ROOT_KEY}
    chosen = read({"ETUDE_HOME": str(tmp_path), "ETUDE_DATABASE_URL": database_url, **given})
    # A socket path is at most 107 bytes long; a test's folder often is longer.
    redis_url = f"redis+socket://{tempfile.gettempdir()}/etude-nobody-listens.sock?virtual_host=0"
    return dataclasses.replace(chosen, redis_url=redis_url, lease_s=3.0, beat_s=0.5, tick_s=0.5, port=0)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings, whose=EVERYONE)
    yield opened
    opened.close()


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return Storage(settings)


@pytest.fixture
def tenant(database: Database) -> str:
    """A tenant to own things."""
    return make_tenant(database)


@pytest.fixture
def other(database: Database) -> str:
    """A second tenant."""
    return make_tenant(database)


def make_tenant(database: Database) -> str:
    tenant = ids.new("ten")
    with database.transaction() as sql:
        sql.execute(insert(tenants).values(id=tenant, name=tenant, created_at=now()))
    return tenant


@pytest.fixture
def is_persistent() -> bool:
    """Whether Redis keeps its data on disk; a test that wants to try both gives it by parametrize."""
    return False


@pytest.fixture
def redis(settings: Settings, is_persistent: bool) -> Iterator[Settings]:
    """The same settings with a real server behind their redis_url."""
    place = redis_server.make_place(settings.home / "redis")
    argv = redis_server.arguments(redis_server.find_binary(), place, is_persistent=is_persistent)
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
    redis_server.wait_ready(place)
    yield dataclasses.replace(settings, redis_url=place.celery_url)
    process.kill()
    process.wait()
