"""Cells of SQL lie sealed under their tenant's key, are read by every process, and by nobody without the key."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import StatementError

from shared import webhooks
from shared.database import Database
from shared.errors import Damaged
from shared.sealing import old_cells
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import deliveries
from shared.tables import webhooks as table
from shared.tenancy import EVERYONE

URL, SAID = "https://label.example/secret-path", "for the night shift at Blue Note"


def create(database: Database, tenant: str) -> Any:
    with database.of(tenant).transaction() as sql:
        return webhooks.create(sql, tenant, url=URL, events=["*"], description=SAID)


def lying(database: Database, column: str, name: str = "webhooks") -> list[str]:
    with database.reading() as sql:
        return [str(each) for each in sql.execute(text(f"SELECT {column} FROM {name} ORDER BY id")).scalars()]


@pytest.fixture
def another(settings: Settings) -> Iterator[Database]:
    """The same database in another process, as far as keys and connections go."""
    opened = Database(settings, whose=EVERYONE)
    yield opened
    opened.close()


def test_what_is_sealed_is_read_by_another_and_does_not_lie_there(
    database: Database, another: Database, tenant: str
) -> None:
    made = create(database, tenant)
    with database.of(tenant).transaction() as sql:
        webhooks.rotate(sql, tenant, made.id)
        webhooks.ping(sql, tenant, made.id)

    with another.of(tenant).reading() as sql:
        found = webhooks.find(sql, tenant, made.id)
    with another.reading() as sql:
        body = sql.execute(select(deliveries.c.body)).scalar_one()
    assert (found.url, found.description, found.old_secret) == (URL, SAID, made.secret)
    assert found.secret != made.secret and made.id in body
    raw = [each for column in ("url", "description", "secret", "old_secret") for each in lying(database, column)]
    raw += lying(database, "body", "deliveries")
    assert all(each.startswith(f"s1.{tenant}.") for each in raw) and len(raw) == 5
    assert not any(hidden in each for each in raw for hidden in ("label", "Blue", "whsec", made.id))


def test_equal_texts_do_not_lie_alike(database: Database, tenant: str) -> None:
    for _ in range(2):
        create(database, tenant)

    assert len(set(lying(database, "url"))) == 2


def test_a_cell_that_was_changed_or_moved_is_not_read(database: Database, tenant: str, other: str) -> None:
    mine, theirs = create(database, tenant), create(database, other)
    moved = lying(database, "url")
    with database.transaction() as sql:
        sql.execute(
            text("UPDATE webhooks SET url = :url WHERE id = :id"), {"url": moved[0][:-8] + "AAAAAAA=", "id": mine.id}
        )
        sql.execute(text("UPDATE webhooks SET secret = url WHERE id = :id"), {"id": theirs.id})

    for row, column in ((mine, table.c.url), (theirs, table.c.secret)):
        with pytest.raises(Damaged), database.reading() as sql:
            sql.execute(select(column).where(table.c.id == row.id)).scalar_one()


def test_with_its_key_a_tenants_cells_are_gone(
    database: Database, another: Database, storage: Storage, tenant: str
) -> None:
    create(database, tenant)

    storage.open_keys().destroy(f"t/{tenant}/")

    with pytest.raises(Damaged), another.reading() as sql:
        sql.execute(select(table.c.url)).all()


def test_another_root_key_opens_nothing(settings: Settings, database: Database, tenant: str) -> None:
    create(database, tenant)

    thief = Database(dataclasses.replace(settings, root_key="0f" * 32), whose=EVERYONE)

    with pytest.raises(Exception, match="root key"), thief.reading() as sql:
        sql.execute(select(table.c.url)).all()
    thief.close()


def test_whose_cell_it_is_has_to_be_said(database: Database, tenant: str, other: str) -> None:
    made = create(database, tenant)
    row = {"url": URL, "events": [], "secret": "s", "state": "active", "created_at": 0.0}
    rows = [{**row, "id": f"whk_{owner}", "tenant": owner} for owner in (tenant, other)]

    with pytest.raises(StatementError, match="whose"), database.transaction() as sql:
        sql.execute(update(table).where(table.c.id == made.id).values(url="https://x.example"))
    with pytest.raises(StatementError, match="whose"), database.transaction() as sql:
        sql.execute(insert(table), rows)
    with database.transaction() as sql:
        for each in rows:
            sql.execute(insert(table).values(each))
    assert sorted(each.split(".")[1] for each in lying(database, "secret")) == sorted([tenant, tenant, other])


def test_cells_from_before_are_read_and_sealed_once(database: Database, tenant: str) -> None:
    created = {"id": "whk_old", "tenant": tenant, "url": URL, "secret": "whsec_old", "description": None}
    with database.transaction() as sql:
        sql.execute(
            text(
                "INSERT INTO webhooks (id, tenant, url, events, description, secret, state, created_at)"
                " VALUES (:id, :tenant, :url, '[]', :description, :secret, 'active', 0)"
            ),
            created,
        )

    with database.reading() as sql:
        assert sql.execute(select(table.c.url, table.c.secret)).one() == (URL, "whsec_old")
    assert (old_cells.count(database), list(old_cells.seal_all(database)), old_cells.count(database)) == (
        1, ["webhooks"], 0
    )  # fmt: skip
    assert list(old_cells.seal_all(database)) == []
    with database.reading() as sql:
        found = sql.execute(select(table.c.url, table.c.secret, table.c.description)).one()
    assert found == (URL, "whsec_old", None)
    assert not any("label" in each for each in lying(database, "url"))
