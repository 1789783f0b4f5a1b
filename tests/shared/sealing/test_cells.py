"""Cells of SQL lie sealed under their tenant's key, are read by every process, and by nobody without the key."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError

from migrations.upgrade import seal_names
from shared import webhooks
from shared.database import Database, now
from shared.errors import Damaged, Unavailable
from shared.sealing import old_cells
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import answers, datasets, deliveries, erasures, jobs, models, tenants
from shared.tables import webhooks as table
from shared.tenancy import EVERYONE
from tests.factories import make_dataset, make_job
from tests.web.registry import make_version

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


def demand_unreadable(database: Database, row: Any, column: Any) -> None:
    """Of its tenant's rows it is not even given out; among those of all, whoever uses it stumbles."""
    chosen = select(column).where(table.c.id == row.id)
    with pytest.raises(Damaged), database.of(row.tenant).reading() as sql:
        sql.execute(chosen).scalar_one()
    with database.reading() as sql:
        found = sql.execute(chosen).scalar_one()
    for use in (str, len, bool, lambda cell: cell == "x", lambda cell: cell["x"], lambda cell: cell.strip()):
        with pytest.raises(Damaged):
            use(found)


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
        demand_unreadable(database, row, column)


def test_a_cell_of_another_tenant_is_not_read_by_whose_row_it_was_put_into(
    database: Database, tenant: str, other: str
) -> None:
    mine, theirs = create(database, tenant), create(database, other)
    with database.transaction() as sql:
        job = make_job(sql, tenant)
        made = make_dataset(sql, other, name="unreleased")
        make_dataset(sql, tenant, name="songs")
    with database.of(other).transaction() as sql:
        sql.execute(update(datasets).where(datasets.c.id == made).values(profile={"rows": 3}))
    # As whoever can write SQL, and has a key of the API for his own rows.
    with database.transaction() as sql:
        for statement in (
            "UPDATE webhooks SET url = (SELECT url FROM webhooks WHERE tenant = :other) WHERE tenant = :mine",
            "UPDATE datasets SET name = (SELECT name FROM datasets WHERE tenant = :other),"
            " profile = (SELECT profile FROM datasets WHERE tenant = :other) WHERE tenant = :mine",
        ):
            sql.execute(text(statement), {"mine": tenant, "other": other})

    for column in (table.c.url, datasets.c.name, datasets.c.profile):
        with pytest.raises(Damaged, match="another tenant"), database.of(tenant).reading() as sql:
            sql.execute(select(column)).all()
    # The rest of the row, and its owner's own rows, are read as before.
    with database.of(tenant).reading() as sql:
        assert sql.execute(select(table.c.secret)).scalar() == mine.secret
        assert sql.execute(select(jobs.c.params).where(jobs.c.id == job)).scalar() is not None
    with database.of(other).reading() as sql:
        assert sql.execute(select(table.c.url)).scalar() == theirs.url
        assert sql.execute(select(datasets.c.name, datasets.c.profile)).one() == ("unreleased", {"rows": 3})


def test_rows_of_all_tenants_are_read_on_while_another_connection_reads_ones(
    database: Database, tenant: str, other: str
) -> None:
    with database.transaction() as sql:
        for owner in (tenant, other):
            make_dataset(sql, owner, name=f"of {owner}")

    with database.reading() as every:
        rows = every.execute(select(tenants.c.id, tenants.c.name).order_by(tenants.c.id)).all()
        for row in rows:
            with database.of(row.id).reading() as sql:
                # A tenant's own name is the service's cell, and is read by a tenant's connection, too.
                chosen = select(tenants.c.name).where(tenants.c.id == row.id)
                assert sql.execute(chosen).scalar() == row.name
                assert sql.execute(select(datasets.c.name)).scalars().all() == [f"of {row.id}"]


def test_with_its_key_a_tenants_cells_are_gone(
    database: Database, another: Database, storage: Storage, tenant: str
) -> None:
    made = create(database, tenant)

    storage.open_keys().destroy(f"t/{tenant}/")

    demand_unreadable(another, made, table.c.url)


def test_another_root_key_opens_nothing(settings: Settings, database: Database, tenant: str) -> None:
    create(database, tenant)

    thief = Database(dataclasses.replace(settings, root_key="0f" * 32), whose=EVERYONE)

    with pytest.raises(Unavailable, match="root key"), thief.reading() as sql:
        sql.execute(select(table.c.url)).all()
    with pytest.raises(Unavailable, match="root key"), thief.of(tenant).transaction() as sql:
        sql.execute(select(models.c.id).where(models.c.name == "songs")).all()
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


def test_equal_names_of_a_tenant_lie_alike_and_no_others(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        for owner in (tenant, other):
            make_dataset(sql, owner, name="nocturnes")
            make_dataset(sql, owner, name="nocturnes", version=2)
            make_version(sql, owner, name="nocturnes")

    cells = lying(database, "name", "datasets")
    assert len(set(cells)) == 2 and all(each.startswith("n1.") and "nocturnes" not in each for each in cells)
    assert set(cells).isdisjoint(lying(database, "name", "models"))
    with database.of(tenant).reading() as sql:
        chosen = select(datasets.c.version).where(datasets.c.name.in_(["nocturnes", "etudes"]))
        assert sorted(sql.execute(chosen).scalars()) == [1, 2]
        assert sql.execute(select(datasets.c.id).where(datasets.c.name == "nocturne")).all() == []
    with pytest.raises(IntegrityError), database.transaction() as sql:
        make_dataset(sql, tenant, name="nocturnes")


def test_a_tenant_is_named_in_conditions_by_value_or_by_parameter(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        made = make_dataset(sql, tenant, name="songs")
        make_dataset(sql, other, name="songs")
    by_value = select(datasets.c.id).where(datasets.c.tenant == tenant, datasets.c.name == "songs")
    by_name = select(datasets.c.id).where(datasets.c.tenant == bindparam("of"), datasets.c.name == bindparam("called"))
    nobodys = select(datasets.c.id).where(datasets.c.name == "songs")
    of_two = nobodys.where((datasets.c.tenant == tenant) | (datasets.c.tenant == other))

    with database.reading() as sql:
        assert sql.execute(by_value).scalars().all() == [made]
        assert sql.execute(by_name, {"of": tenant, "called": "songs"}).scalars().all() == [made]
    # What a statement before it has said is not what this one says.
    for unsaid in (nobodys, of_two):
        with pytest.raises(StatementError, match="whose"), database.reading() as sql:
            sql.execute(by_value).all()
            sql.execute(unsaid).all()


@pytest.mark.parametrize(
    "ask",
    [
        lambda: table.c.url == "https://x.example", lambda: table.c.url.like("https%"), lambda: table.c.url.desc(),
        lambda: table.c.url.in_(["x"]), lambda: datasets.c.name > "a", lambda: datasets.c.name.like("song%"),
        lambda: datasets.c.name.desc(), lambda: datasets.c.name + "@1", lambda: datasets.c.name == models.c.name,
        lambda: datasets.c.profile["rows"], lambda: datasets.c.profile == {},
    ],
)  # fmt: skip
def test_what_sql_cannot_tell_of_a_sealed_cell_is_no_statement(ask: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="sealed"):
        ask()


@pytest.mark.parametrize("value", [{}, [], {"a": [1.5, None, "é"]}, "s1.text", "", 0, True, None])
def test_json_comes_back_as_it_was(database: Database, tenant: str, value: Any) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
    with database.of(tenant).transaction() as sql:
        sql.execute(update(jobs).where(jobs.c.id == job).values(result=value))

    with database.reading() as sql:
        assert sql.execute(select(jobs.c.result).where(jobs.c.id == job)).scalar() == value
        there = select(jobs.c.id).where(jobs.c.result.is_not(None))
        assert sql.execute(there).scalars().all() == [job]


def test_a_name_of_every_length_and_sign_comes_back(database: Database, tenant: str) -> None:
    names = ["", "a", "n1.x.y", "s1.", "Étude № 3 ‮", "x" * 255, "🎹" * 255]
    with database.transaction() as sql:
        for name in names:
            make_dataset(sql, tenant, name=name)

    with database.of(tenant).reading() as sql:
        for name in names:
            assert sql.execute(select(datasets.c.name).where(datasets.c.name == name)).scalars().all() == [name]


def test_pseudonyms_of_erasures_from_before_are_sealed_by_the_upgrade(
    database: Database, settings: Settings, tenant: str
) -> None:
    with database.transaction() as sql:
        sql.execute(
            insert(erasures).values(
                id="era_old", tenant=tenant, kind="listener", dataset="plays", pseudonym="p-1", models="keep",
                state="decided", key="key_1", job=make_job(sql, tenant), found={}, created_at=now(),
            )
        )  # fmt: skip
        sql.execute(text("UPDATE erasures SET pseudonym = 'p-1'"))

    assert (seal_names(settings), seal_names(settings), old_cells.count(database)) == (1, 0, 0)

    with database.of(tenant).reading() as sql:
        assert sql.execute(text("SELECT pseudonym FROM erasures")).scalar_one().startswith(f"n1.{tenant}.")
        assert sql.execute(select(erasures.c.id).where(erasures.c.pseudonym == "p-1")).scalar() == "era_old"


def test_names_from_before_are_sealed_by_the_upgrade_and_then_found(database: Database, settings: Settings) -> None:
    with database.transaction() as sql:
        model = "INSERT INTO models (id, tenant, name, kind, created_at) VALUES"
        for statement in (
            "INSERT INTO tenants (id, name, created_at) VALUES ('ten_old', 'label', 0)",
            f"{model} ('mod_old', 'ten_old', 'songs', 'regression', 0)",
            f"{model} ('mod_b', 'ten_old', 'n1.a.b', 'regression', 0)",
            f"{model} ('mod_c', 'ten_old', 'S1.Up', 'regression', 0)",
            f"{model} ('mod_d', 'ten_old', 's1.01.wav', 'regression', 0)",
            "INSERT INTO answers (tenant, key, fingerprint, created_at, body) VALUES ('ten_old', 'once', 'f', 0, 'x')",
        ):
            sql.execute(text(statement))

    assert (seal_names(settings), seal_names(settings), old_cells.count(database)) == (6, 0, 0)

    with database.of("ten_old").reading() as sql:
        assert sql.execute(select(models.c.id).where(models.c.name == "songs")).scalars().all() == ["mod_old"]
        assert sql.execute(select(answers.c.body).where(answers.c.key == "once")).scalar() == "x"
        assert sql.execute(select(tenants.c.id).where(tenants.c.name == "label")).scalar() == "ten_old"
        for name in ("n1.a.b", "S1.Up", "s1.01.wav"):
            assert sql.execute(select(models.c.name).where(models.c.name == name)).scalars().all() == [name]
    raw = [*lying(database, "name", "models"), *lying(database, "name", "tenants")]
    assert all(each.startswith("n1.") for each in raw)


def test_documents_from_before_are_read_and_what_was_nothing_stays_nothing(
    database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        made = make_dataset(sql, tenant, name="songs", state="rejected")
        sql.execute(text('UPDATE datasets SET error = \'"s1.rock"\', profile = NULL, columns = \'{"id": "key"}\''))
        sql.execute(text("UPDATE tenants SET name = 'open'"))

    for _ in range(2):
        with database.reading() as sql:
            row = sql.execute(select(datasets).where(datasets.c.id == made)).one()
            is_null = select(datasets.c.id).where(datasets.c.profile.is_(None))
            assert (row.error, row.columns, sql.execute(is_null).scalars().all()) == ("s1.rock", {"id": "key"}, [made])
        seal_names(settings)
    assert lying(database, "error", "datasets")[0].strip('"').startswith(f"s1.{tenant}.")


def test_more_rows_than_are_sealed_at_once(database: Database, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_cells, "ROWS_AT_ONCE", 2)
    with database.transaction() as sql:
        job = make_job(sql, tenant)
        put = text("INSERT INTO job_labels (tenant, job, name, value) VALUES (:tenant, :job, :name, 'v')")
        for number in range(7):
            sql.execute(put, {"tenant": tenant, "job": job, "name": f"name-{number}"})

    assert list(old_cells.seal_all(database)).count("job_labels") == 7
    assert old_cells.count(database) == 0
