"""The audit log: each row follows the one before it, none is changed or removed unnoticed, old ones may go."""

import threading
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from shared import audit_chain, audit_log
from shared.audit_log import BEGINNING, Entry
from shared.database import Database, now
from shared.tables import audit_heads, keys
from shared.tables import audit_log as table


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
def owned(database: Database, owner_url: str) -> Database:
    """Whoever owns the database can do away with its triggers."""
    engine = create_engine(owner_url)
    with engine.begin() as sql:
        if database.is_sqlite:
            for name in ("audit_log_is_not_changed", "audit_log_is_not_deleted"):
                sql.execute(text(f"DROP TRIGGER {name}"))
        else:
            sql.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
    engine.dispose()
    return database


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


@pytest.mark.parametrize("statement", [update(table).values(status=200), delete(table), text("DELETE FROM audit_log")])
def test_the_database_refuses_to_change_or_delete_a_row(database: Database, tenant: str, statement: Any) -> None:
    write(database, tenant, 2)

    with pytest.raises(DBAPIError, match="audit log"), database.transaction() as sql:
        sql.execute(statement)

    assert len(rows(database, tenant)) == 2


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_table_is_not_emptied(database: Database, owner_url: str, tenant: str) -> None:
    write(database, tenant)

    # The service's own role may not even try.
    engine = create_engine(owner_url)
    with pytest.raises(DBAPIError, match="audit log"), engine.begin() as sql:
        sql.execute(text("TRUNCATE audit_log"))
    engine.dispose()

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


def test_old_rows_are_let_go_of_and_the_rest_can_still_be_verified(database: Database, tenant: str) -> None:
    write(database, tenant, 3)
    with database.transaction() as sql:
        moment = sql.execute(select(now())).scalar_one()
    # The database's clock may be too coarse to part two rows.
    while rows(database, tenant)[-1].at <= moment:
        write(database, tenant)
    kept = [row.seq for row in rows(database, tenant) if row.at >= moment]

    with database.transaction() as sql:
        gone = audit_chain.forget(sql, before=moment)

    left = rows(database, tenant)
    assert [row.seq for row in left] == [*kept, kept[-1] + 1]
    assert (gone, left[-1].action) == (kept[0] - 1, "audit_log.forget")
    assert faults(database) == []
    with pytest.raises(DBAPIError, match="audit log"), database.transaction() as sql:
        sql.execute(delete(table).where(table.c.seq == kept[0]))


def test_the_newest_row_is_never_let_go_of(database: Database, tenant: str) -> None:
    write(database, tenant, 2)

    with database.transaction() as sql:
        assert audit_chain.forget(sql, before=1e11) == 1
    with database.transaction() as sql:
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
