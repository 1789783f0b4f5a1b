"""The audit log: each row follows the one before it, none is changed or removed unnoticed, old ones may go."""

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from shared import audit_chain, audit_log
from shared.audit_log import BEGINNING, Entry
from shared.database import Database, now
from shared.settings import Settings
from shared.tables import audit_heads, keys
from shared.tables import audit_log as table
from shared.tenancy import EVERYONE
from tests import postgres_server


def write(database: Database, tenant: str, count: int = 1) -> None:
    for number in range(count):
        with database.transaction() as sql:
            audit_log.append(sql, Entry(tenant, "jobs.submit", 202, key="key_a", object=f"job_{number}"))


def rows(database: Database, tenant: str) -> list[Any]:
    with database.reading() as sql:
        return list(sql.execute(select(table).where(table.c.tenant == tenant).order_by(table.c.seq)).all())


def faults(database: Database) -> list[str]:
    with database.reading() as sql:
        return audit_chain.verify(sql).faults


@pytest.fixture
def owner(settings: Settings, owner_url: str) -> Iterator[Database]:
    """As an operator's command connects, who has given it the URL of the owner of the tables."""
    opened = Database(replace(settings, database_url=owner_url), whose=EVERYONE)
    yield opened
    opened.close()


@pytest.fixture
def owned(owner: Database) -> Database:
    """Whoever owns the database can do away with its triggers."""
    with owner.transaction() as sql:
        if owner.is_sqlite:
            for name in ("audit_log_is_not_changed", "audit_log_is_not_deleted"):
                sql.execute(text(f"DROP TRIGGER {name}"))
        else:
            sql.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
    return owner


def test_each_tenant_has_a_chain_of_its_own(database: Database, tenant: str, other: str) -> None:
    write(database, tenant, 3)
    write(database, other)

    mine, (theirs,) = rows(database, tenant), rows(database, other)
    assert [row.seq for row in mine] == [1, 2, 3]
    assert [row.previous for row in mine] == [BEGINNING, mine[0].hash, mine[1].hash]
    assert (theirs.seq, theirs.previous) == (1, BEGINNING)
    assert faults(database) == []


def test_what_is_rolled_back_leaves_no_row_and_no_gap(database: Database, tenant: str) -> None:
    write(database, tenant)
    with pytest.raises(RuntimeError), database.transaction() as sql:
        audit_log.append(sql, Entry(tenant, "jobs.submit", 202))
        raise RuntimeError
    write(database, tenant)

    assert [row.seq for row in rows(database, tenant)] == [1, 2]
    assert faults(database) == []


def test_many_who_write_at_once_make_one_chain(database: Database, tenant: str) -> None:
    threads = [threading.Thread(target=write, args=(database, tenant, 10)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [row.seq for row in rows(database, tenant)] == list(range(1, 81))
    assert faults(database) == []


# Ways to rewrite what is kept: on either database, and on one alone.
CHANGES = {
    "a row is changed": "UPDATE audit_log SET status = 200 WHERE seq = 1",
    "a row is deleted": "DELETE FROM audit_log WHERE seq = 2",
    "all are deleted": "DELETE FROM audit_log",
    "a head goes two on": "UPDATE audit_heads SET seq = seq + 2, hash = 'x'",
    "a head goes back": "UPDATE audit_heads SET seq = seq - 1, hash = 'x'",
    "a head has another hash": "UPDATE audit_heads SET hash = 'x'",
    "a head goes on with its hash": "UPDATE audit_heads SET seq = seq + 1",
    "a head goes on and lets go": "UPDATE audit_heads SET seq = seq + 1, hash = 'x', kept_from = 3",
    "all are let go of, later ones too": "UPDATE audit_heads SET kept_from = 9",
    "a head keeps what is gone": "UPDATE audit_heads SET kept_from = 0",
    "what is kept follows another": "UPDATE audit_heads SET kept_previous = 'x'",
    "a head becomes another's": "UPDATE audit_heads SET tenant = (SELECT max(id) FROM tenants WHERE id <> tenant)",
    "a head is deleted": "DELETE FROM audit_heads",
}
ROW = "SELECT tenant, {seq}, 1.0, NULL, 'forged', NULL, NULL, 200, NULL, 'x', 'x' FROM audit_heads"
COLUMNS = "tenant, seq, at, key, action, object, made, status, request, previous, hash"
OF_SQLITE = {
    "a row is replaced": f"INSERT OR REPLACE INTO audit_log ({COLUMNS}) {ROW.format(seq=1)}",
    "a row is replaced by its place": (
        f"INSERT OR REPLACE INTO audit_log (rowid, {COLUMNS}) {ROW.format(seq=9).replace('SELECT', 'SELECT 1,')}"
    ),
    "a head is replaced": "INSERT OR REPLACE INTO audit_heads SELECT tenant, 2, 'x', 3, 'x' FROM audit_heads",
    "a head is replaced by its place": (
        "INSERT OR REPLACE INTO audit_heads (rowid, tenant, seq, hash, kept_from, kept_previous)"
        " SELECT 1, max(id), 2, 'x', 3, 'x' FROM tenants WHERE id NOT IN (SELECT tenant FROM audit_heads)"
    ),
    "a head takes another's place": "UPDATE OR REPLACE audit_heads SET rowid = 9",
}
OF_POSTGRESQL = {
    "one row is let go of": "UPDATE audit_heads SET kept_from = 2",
    "a row is written over": (
        f"INSERT INTO audit_log ({COLUMNS}) {ROW.format(seq=1)} ON CONFLICT (tenant, seq) DO UPDATE SET status = 200"
    ),
    "another table is taken for the heads": (
        "CREATE TEMPORARY TABLE shade AS SELECT tenant, 9 AS kept_from FROM audit_heads;"
        " ALTER TABLE shade RENAME TO audit_heads; DELETE FROM audit_log"
    ),
}


def let_through(database: Database, tenant: str, changes: dict[str, str]) -> list[str]:
    """Which of these ways the database does not refuse, after two rows of the tenant."""
    write(database, tenant, 2)
    before = rows(database, tenant)
    through = []
    for way, statement in changes.items():
        try:
            with database.transaction() as sql:
                sql.exec_driver_sql(statement)
            through.append(way)
        except DBAPIError as refusal:
            assert re.search(r"(?i)audit.log|audit.heads", str(refusal)), way
    assert rows(database, tenant) == before
    write(database, tenant)
    assert faults(database) == []
    return through


def test_what_is_written_is_kept(database: Database, tenant: str, other: str) -> None:
    own = OF_SQLITE if database.is_sqlite else OF_POSTGRESQL

    assert let_through(database, tenant, CHANGES | own) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_it_is_kept_from_a_role_that_was_granted_everything(
    database: Database, owner: Database, tenant: str, other: str
) -> None:
    """As by hand, in releases before: the triggers alone have to do."""
    with owner.transaction() as sql:
        sql.exec_driver_sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {postgres_server.APP}")

    assert let_through(database, tenant, CHANGES | OF_POSTGRESQL) == []


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET status = 1", "DELETE FROM audit_log"])
def test_the_owner_changes_nothing_either(database: Database, owner: Database, tenant: str, statement: str) -> None:
    write(database, tenant, 2)

    with pytest.raises(DBAPIError, match="audit log"), owner.transaction() as sql:
        sql.exec_driver_sql(statement)

    assert len(rows(database, tenant)) == 2


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_command_says_whose_it_is_to_forget(
    database: Database, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(database, tenant, 2)
    monkeypatch.setenv("ETUDE_DATABASE_URL", database.url)

    with pytest.raises(SystemExit, match="Only the owner of the tables"):
        audit_chain.main(["forget", "--before", "2100-01-01"])

    assert len(rows(database, tenant)) == 2


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("name", ["audit_log", "audit_heads"])
def test_the_table_is_not_emptied(database: Database, owner: Database, tenant: str, name: str) -> None:
    write(database, tenant)

    # The service's own role may not even try.
    with pytest.raises(DBAPIError, match="audit log"), owner.transaction() as sql:
        sql.execute(text(f"TRUNCATE {name}"))

    assert len(rows(database, tenant)) == 1


@pytest.mark.parametrize(
    "change",
    [{"status": 404}, {"key": None}, {"object": "job_x"}, {"at": 1.0}, {"action": "jobs.cancel"}, {"made": "x"}],
)
def test_a_row_that_was_changed_is_found(owned: Database, tenant: str, change: dict[str, Any]) -> None:
    write(owned, tenant, 4)
    with owned.of(tenant).transaction() as sql:
        sql.execute(update(table).where(table.c.seq == 2).values(change))

    assert faults(owned) == [f"{tenant}: row 2 is not what was written"]


def test_a_row_that_was_changed_with_its_hash_no_longer_leads_to_the_next(owned: Database, tenant: str) -> None:
    write(owned, tenant, 4)
    with owned.transaction() as sql:
        written = sql.execute(select(*audit_chain.AS_IT_LIES).where(table.c.seq == 2)).one()
        forged = {**written._mapping, "status": 404}
        change = {"status": 404, "hash": audit_log.digest(forged)}
        sql.execute(update(table).where(table.c.seq == 2).values(change))

    assert faults(owned) == [f"{tenant}: row 3 does not follow the row before it"]


@pytest.mark.parametrize(
    ("gone", "said"),
    [(1, "after row 0 comes row 2"), (2, "after row 1 comes row 3"), (4, "the chain ends at row 3, and its head is at row 4")],  # noqa: E501
)  # fmt: skip
def test_a_row_that_was_removed_is_missed(owned: Database, tenant: str, gone: int, said: str) -> None:
    write(owned, tenant, 4)
    with owned.transaction() as sql:
        sql.execute(delete(table).where(table.c.seq == gone))

    assert faults(owned) == [f"{tenant}: {said}"]


def test_rows_that_changed_places_are_found(owned: Database, tenant: str) -> None:
    write(owned, tenant, 4)
    with owned.transaction() as sql:
        for was, becomes in ((2, 99), (3, 2), (99, 3)):
            sql.execute(update(table).where(table.c.seq == was).values(seq=becomes))

    found = faults(owned)
    assert f"{tenant}: row 2 is not what was written" in found and f"{tenant}: row 3 is not what was written" in found


def test_a_row_that_was_moved_to_another_tenant_is_found(owned: Database, tenant: str, other: str) -> None:
    write(owned, tenant, 2)
    with owned.transaction() as sql:
        sql.execute(update(table).where(table.c.seq == 2).values(tenant=other))

    found = faults(owned)
    assert f"{tenant}: the chain ends at row 1, and its head is at row 2" in found
    assert f"{other}: there are rows and no head" in found


def test_a_row_that_was_added_behind_the_head_does_not_count_and_the_next_finds_its_place_taken(
    database: Database, tenant: str
) -> None:
    write(database, tenant)
    forged = {**rows(database, tenant)[0]._mapping, "seq": 2}
    with database.transaction() as sql:
        sql.execute(insert(table).values(forged))

    assert faults(database) == [f"{tenant}: there are rows behind the head"]


def test_old_rows_are_let_go_of_and_the_rest_can_still_be_verified(
    database: Database, owner: Database, tenant: str
) -> None:
    write(database, tenant, 3)
    with database.transaction() as sql:
        moment = sql.execute(select(now())).scalar_one()
    # The database's clock may be too coarse to part two rows.
    while rows(database, tenant)[-1].at <= moment:
        write(database, tenant)
    kept = [row.seq for row in rows(database, tenant) if row.at >= moment]

    with owner.transaction() as sql:
        gone = audit_chain.forget(sql, before=moment)

    left = rows(database, tenant)
    assert [row.seq for row in left] == [*kept, kept[-1] + 1]
    assert (gone, left[-1].action) == (kept[0] - 1, "audit_log.forget")
    assert faults(database) == []
    with pytest.raises(DBAPIError, match="audit log"), owner.transaction() as sql:
        sql.execute(delete(table).where(table.c.seq == kept[0]))


def test_the_newest_row_is_never_let_go_of(database: Database, owner: Database, tenant: str) -> None:
    write(database, tenant, 2)

    with owner.transaction() as sql:
        assert audit_chain.forget(sql, before=1e11) == 1
    with owner.transaction() as sql:
        assert audit_chain.forget(sql, before=0) == 0

    assert [row.seq for row in rows(database, tenant)] == [2, 3]
    assert faults(database) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_command_tells_heads_and_faults(
    owned: Database, tenant: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ETUDE_DATABASE_URL", owned.url)
    write(owned, tenant, 2)

    with pytest.raises(SystemExit) as well:
        audit_chain.main(["verify"])
    said = capsys.readouterr()
    with owned.transaction() as sql:
        sql.execute(update(table).where(table.c.seq == 1).values(status=500))
    with pytest.raises(SystemExit) as wrong:
        audit_chain.main(["verify"])

    assert (well.value.code, wrong.value.code) == (0, 1)
    assert rows(owned, tenant)[-1].hash in said.out and said.err == ""
    assert "row 1 is not what was written" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        audit_chain.main(["forget", "--before", "yesterday"])
    audit_chain.main(["forget", "--before", "2001-01-01"])
    assert "0 rows" in capsys.readouterr().out


def test_a_log_says_nothing_of_what_it_was_not_given(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        audit_log.append(sql, Entry(tenant, "models.delete", 204, object="x" * 1000))

    (row,) = rows(database, tenant)
    assert len(row.object) == audit_log.OBJECT_CHARACTERS
    with database.reading() as sql:
        assert sql.execute(select(keys)).all() == []
        assert sql.execute(select(audit_heads.c.seq)).scalar_one() == 1
