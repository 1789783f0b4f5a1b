"""The condition that a tenant's connection carries, and who carries none."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from shared import history, ids
from shared.database import Database
from shared.settings import Settings
from shared.tables import events, jobs, metadata, webhooks
from tests.factories import make_job

# Whoever is named here sees the rows of all tenants, and says why where he is opened.
OF_EVERYONE = {
    "shared/audit_chain.py", "shared/sealing/__main__.py", "shared/tenants.py", "web/app.py", "web/streams.py",
    "shared/backup/engines.py", "shared/database.py", "shared/pulse.py", "shared/tenancy.py", "web/first_key.py",
    "web/waiting.py", "web/workers.py", "worker/answers.py", "worker/app.py", "worker/deliveries.py",
    "worker/presence.py", "worker/process.py", "worker/tick.py",
}  # fmt: skip


def test_who_serves_all_tenants_is_known() -> None:
    found = {
        str(path) for folder in ("shared", "web", "worker") for path in Path(folder).rglob("*.py")
        if "EVERYONE" in path.read_text()
    }  # fmt: skip

    assert found == OF_EVERYONE


def test_a_statement_without_a_condition_is_of_its_connections_tenant(
    database: Database, tenant: str, other: str
) -> None:
    with database.transaction() as sql:
        mine, theirs = (make_job(sql, each) for each in (tenant, other))

    with database.of(tenant).transaction() as sql:
        seen = sql.execute(select(jobs.c.id)).scalars().all()
        joined = sql.execute(select(func.count()).select_from(jobs.join(events, events.c.job == jobs.c.id))).scalar()
        changed = sql.execute(update(jobs).values(priority=7)).rowcount
        gone = sql.execute(delete(events)).rowcount

    assert (seen, joined, changed, gone) == ([mine], 1, 1, 1)
    with database.reading() as sql:
        assert sql.execute(select(jobs.c.priority).where(jobs.c.id == theirs)).scalar_one() == 0
        assert sql.execute(select(func.count()).select_from(events)).scalar_one() == 1


def test_what_is_inserted_is_of_the_connections_tenant(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        theirs = make_job(sql, other)

    with pytest.raises(DBAPIError), database.of(tenant).transaction() as sql:
        history.note(sql, other, theirs, "warning", {})

    row = {
        "id": ids.new("whk"), "tenant": other, "url": "https://example.org", "events": [], "secret": "x",
        "state": "active", "created_at": 0.0,
    }  # fmt: skip
    with database.of(tenant).transaction() as sql:
        sql.execute(insert(webhooks).values(row))
        sql.execute(insert(webhooks), {**row, "id": "whk_b"})
        sql.execute(insert(webhooks), [{**row, "id": "whk_c"}, {**row, "id": "whk_d"}])
    with database.reading() as sql:
        assert sql.execute(select(webhooks.c.tenant)).scalars().all() == [tenant] * 4


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_was_opened_for_nobody_sees_and_writes_nothing(settings: Settings, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
    nobody = Database(settings)

    with nobody.reading() as sql:
        assert [count(sql, name) for name in metadata.tables if name != "workers"] == [0] * (len(metadata.tables) - 1)
    with pytest.raises(DBAPIError, match="row-level security"), nobody.transaction() as sql:
        make_job(sql, tenant)
    with pytest.raises(DBAPIError, match="row-level security"), database.of(tenant).transaction() as sql:
        sql.execute(text("UPDATE jobs SET tenant = 'ten_other'"))
    nobody.close()


def count(sql: Connection, table: str) -> int:
    return int(sql.execute(select(func.count()).select_from(metadata.tables[table])).scalar_one())


@pytest.mark.parametrize("odd", ["a'b", "a b", "a;b", "**", "é", "a\n"])
def test_what_is_no_id_is_said_to_no_database(database: Database, odd: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        database.of(odd)
