"""A tenant has its key replaced by a job: files stay, everything is read as before, the old key is gone."""

from pathlib import Path

import pytest
from sqlalchemy import select

from shared import jobs, queue, rotations
from shared.database import Database
from shared.errors import Drained, NotAllowedNow
from shared.sealing import rotating
from shared.sealing.key_tables import tenant_keys
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import audit_log, models
from tests.worker import working
from worker import runner
from worker.heart import Heart
from worker.runner import Post


@pytest.fixture
def version(post: Post, tenant: str, tmp_path: Path) -> str:
    """A model that was trained under the first key."""
    job = working.submit(post, tenant, working.store_dataset(post, tenant, tmp_path))
    runner.run(post, "train", only_tenant=None)
    return str(working.made(post, job)[0].id)


def wrapping(storage: Storage, tenant: str) -> list[str]:
    with storage.open_keys().reading() as sql:
        mine = select(tenant_keys.c.id).where(tenant_keys.c.tenant == tenant)
        return list(sql.execute(mine.order_by(tenant_keys.c.generation)).scalars())


def submit(post: Post, tenant: str) -> str:
    with post.database.transaction() as sql:
        return str(rotations.submit(sql, tenant).id)


def demand_readable(settings: Settings, tenant: str) -> None:
    """As another process reads it, which has no key at hand."""
    storage, database = Storage(settings), Database(settings)
    for key in list(storage.keys(f"t/{tenant}/")):
        assert storage.get(key) is not None
    with database.of(tenant).reading() as sql:
        assert sql.execute(select(models.c.name)).scalars().all() == ["songs"]
    database.close()


def test_the_key_is_another_one_and_everything_is_read_as_before(
    post: Post, settings: Settings, storage: Storage, tenant: str, version: str
) -> None:
    (old,) = wrapping(storage, tenant)
    left = rotating.count_left(storage.open_keys(), tenant)
    job = submit(post, tenant)
    with pytest.raises(NotAllowedNow, match=job):
        submit(post, tenant)

    runner.run(post, queue.LIGHT, only_tenant=None)

    row = working.find(post, job)
    (new,) = wrapping(storage, tenant)
    assert (row.state, row.result) == (jobs.SUCCEEDED, {"keys": left, "generation": 2})
    assert left > 3 and new != old
    demand_readable(settings, tenant)
    with post.database.of(tenant).reading() as sql:
        told = sql.execute(select(audit_log.c.object).where(audit_log.c.action == "encryption.rotated")).scalars().all()
    assert told == [job]


def test_an_attempt_that_ends_in_the_middle_is_gone_on_from(
    post: Post, settings: Settings, storage: Storage, tenant: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, (old,) = submit(post, tenant), wrapping(storage, tenant)
    monkeypatch.setattr(rotating, "ROWS_AT_ONCE", 1)
    with monkeypatch.context() as patched:
        seen: list[int] = []

        def check(heart: Heart) -> None:
            seen.append(1)
            if len(seen) == 4:
                raise Drained("The worker leaves.")

        patched.setattr(Heart, "check", check)
        runner.run(post, queue.LIGHT, only_tenant=None)
    in_between = wrapping(storage, tenant)
    left = rotating.count_left(storage.open_keys(), tenant)
    demand_readable(settings, tenant)

    runner.run(post, queue.LIGHT, only_tenant=None)

    assert len(in_between) == 2 and in_between[0] == old
    assert wrapping(storage, tenant) == in_between[1:]
    assert working.find(post, job).result == {"keys": left, "generation": 2}
    assert working.outcomes(post, job) == ["drained", "succeeded"]
    demand_readable(settings, tenant)


def test_a_tenant_that_has_stored_nothing_has_none_to_replace(post: Post, storage: Storage, tenant: str) -> None:
    storage.open_keys()
    job = submit(post, tenant)

    runner.run(post, queue.LIGHT, only_tenant=None)

    assert working.find(post, job).state == jobs.SUCCEEDED
