"""One house for all cases of a file: real web, real light worker, real Redis, PostgreSQL; three tenants live in it."""

import dataclasses
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import ids, redis_server
from shared.database import Database
from shared.processes import die_with_parent
from shared.settings import read
from shared.storage import Storage
from shared.tenancy import EVERYONE
from tests import postgres_server
from tests.conftest import PEPPER, ROOT_KEY, TEMPLATE, make_tenant
from tests.faults.house import House
from tests.hostile.invariants import Watch


@pytest.fixture(scope="module")
def house(postgres: postgres_server.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Started once a file: a test leaves it as it found it, which `watch` holds."""
    home = tmp_path_factory.mktemp("hostile")
    name = ids.new("ds")
    postgres.create_database(name, template=TEMPLATE)
    given = {"ETUDE_HOME": str(home), "ETUDE_PEPPER": PEPPER, "ETUDE_ROOT_KEY": ROOT_KEY}
    place = redis_server.make_place(Path(tempfile.mkdtemp(prefix="etude-")))
    argv = redis_server.arguments(redis_server.find_binary(), place, is_persistent=False)
    redis = subprocess.Popen(argv, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
    redis_server.wait_ready(place)
    chosen = dataclasses.replace(
        read({**given, "ETUDE_DATABASE_URL": postgres.app_url(name)}),
        redis_url=place.celery_url, beat_s=0.5, tick_s=0.5, port=0, log_level="info",
    )  # fmt: skip
    database = Database(chosen, whose=EVERYONE)
    storage = Storage(chosen)
    storage.open_keys()
    yield (made := House(chosen, database, storage, make_tenant(database), is_forked=False))
    made.stop()
    database.close()
    redis.kill()
    redis.wait()
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def live(house: House) -> Watch:
    """The same, with its processes begun and what they take known."""
    return Watch(house)


@pytest.fixture
def watch(live: Watch) -> Iterator[Watch]:
    """All six invariants are checked after the test."""
    live.begin()
    yield live
    live.check()
