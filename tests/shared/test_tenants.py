"""What the operator does with tenants, by the command."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from shared import audit_chain, keys, secrets, tenants
from shared.database import Database
from shared.errors import Unauthorised
from shared.keys import Keyring
from shared.settings import Settings
from shared.tables import audit_log
from shared.tables import tenants as table
from tests.conftest import PEPPER

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command: its status, what it said and what it complained of."""
    for name in ("HOME", "DATABASE_URL", "PEPPER", "ROOT_KEY"):
        monkeypatch.setenv(f"ETUDE_{name}", str(getattr(settings, name.lower())))

    def say(*arguments: str) -> tuple[int, str, str]:
        status = 0
        try:
            tenants.main(list(arguments))
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
            if isinstance(end.code, str):
                return status, "", end.code
        said = capsys.readouterr()
        return status, said.out.strip(), said.err

    return say


def test_beside_make_up_the_pepper_is_found_where_that_keeps_it(
    run: Run, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ETUDE_PEPPER")
    assert run("create", "early")[0] == 1

    pepper = secrets.pepper(settings.home)
    status, key, _ = run("create", "label")

    assert status == 0
    assert Keyring(database, pepper).identify(f"Bearer {key}").rank == keys.RANKS[keys.ADMIN]


def test_a_tenant_is_made_with_a_key_that_is_told_once(run: Run, database: Database) -> None:
    status, key, complaint = run("create", "label-a")

    caller = Keyring(database, PEPPER).identify(f"Bearer {key}")
    assert (status, complaint, caller.rank) == (0, "", keys.RANKS[keys.ADMIN])
    listed = run("list")[1]
    assert caller.tenant in listed and listed.endswith("label-a") and key.split("_")[2] not in listed
    with database.reading() as sql:
        (row,) = sql.execute(select(audit_log)).all()
        assert (row.tenant, row.action, row.key, row.made) == (caller.tenant, "tenants.create", None, caller.key_id)
        assert key.split("_")[2] not in repr(row)
        assert audit_chain.verify(sql).faults == []


def test_a_name_is_taken_once(run: Run) -> None:
    run("create", "label-a")

    status, said, complaint = run("create", "label-a")

    assert (status, said) == (1, "") and "label-a" in complaint


@pytest.mark.parametrize("name", ["", "  ", "x" * 256, "a\nb"])
def test_a_name_that_is_none_is_refused(run: Run, database: Database, name: str) -> None:
    assert run("create", name)[0] == 1
    with database.reading() as sql:
        assert sql.execute(select(table)).all() == []


def test_who_has_lost_all_keys_gets_a_new_one(run: Run, database: Database) -> None:
    first = Keyring(database, PEPPER).identify(f"Bearer {run('create', 'label-a')[1]}")

    second = Keyring(database, PEPPER).identify(f"Bearer {run('key', 'label-a', '--expires-in-days', '7')[1]}")

    assert second.tenant == first.tenant and second.key_id != first.key_id
    assert run("key", "label-b")[0] == 1
    assert run("key", "label-a", "--expires-in-days", "0")[0] == 2
    assert run("key", "label-a", "--expires-in-days", "10000")[0] == 2


def test_limits_are_set_one_by_one_and_taken_back(run: Run, database: Database) -> None:
    run("create", "label-a")

    run("limit", "label-a", "--queued", "5", "--running", "none", "--schedules", "0")
    said = run("limit", "label-a", "--queued", "default", "--compute-s", "3600")[1]

    assert "stored_bytes=none queued=100000 running=none schedules=0 compute_s=3600" in said
    with database.reading() as sql:
        row = sql.execute(select(table)).one()
    assert (row.queued_at_most, row.running_at_most, row.schedules_at_most) == (None, -1, 0)


@pytest.mark.parametrize("value", ["-1", "many", "1.5", "", "9" * 19, "٣"])
def test_a_limit_that_is_none_is_refused(run: Run, value: str) -> None:
    run("create", "label-a")

    assert run("limit", "label-a", f"--queued={value}")[0] == 2


def test_a_tenant_is_suspended_and_resumed(run: Run, database: Database) -> None:
    key = run("create", "label-a")[1]

    assert run("suspend", "label-a") == (0, "label-a: suspended", "")
    assert "suspended" in run("list")[1]
    assert Keyring(database, PEPPER).identify(f"Bearer {key}").is_suspended
    assert run("resume", "label-a") == (0, "label-a: resumed", "")
    assert not Keyring(database, PEPPER).identify(f"Bearer {key}").is_suspended
    assert run("suspend", "label-b")[0] == 1
    with database.reading() as sql:
        actions = sql.execute(select(audit_log.c.action).order_by(audit_log.c.seq)).scalars().all()
    assert actions == ["tenants.create", "tenants.suspend", "tenants.resume"]


def test_without_a_pepper_there_is_no_key(run: Run, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ETUDE_PEPPER")

    status, _, complaint = run("create", "label-a")

    assert status == 1 and "ETUDE_PEPPER" in complaint
    with pytest.raises(Unauthorised):
        Keyring(database, PEPPER).identify("Bearer etude_a_b_c")
