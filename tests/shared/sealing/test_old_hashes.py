"""Hashes of a release that did not key them: keyed by the upgrade, and of the same requests and jobs as before."""

import hashlib

import pytest
from sqlalchemy import select, text

from migrations.upgrade import key_hashes
from shared import answers, audits, reuse
from shared.answers import Kept
from shared.database import Database
from shared.errors import InvalidRequest
from shared.jobs import NewJob
from shared.sealing import old_hashes
from shared.settings import Settings
from shared.tables import answers as answer_table
from shared.tables import jobs
from tests.factories import make_job

METHOD, PATH, BODY = "POST", "/v1/erasures", b'{"dataset":"plays","listener":"u00042"}'
OPEN = hashlib.sha256(b"\n".join((METHOD.encode(), PATH.encode(), BODY))).hexdigest()


def request(database: Database, tenant: str, body: bytes = BODY) -> Kept | None:
    with database.of(tenant).transaction() as sql:
        same = answers.fingerprint(sql, tenant, METHOD, PATH, body)
        return answers.begin(sql, tenant, "once", request=same)


def lying(database: Database, table: str) -> list[str]:
    with database.reading() as sql:
        return list(sql.execute(text(f"SELECT fingerprint FROM {table} ORDER BY tenant")).scalars())


def test_a_request_lies_there_under_a_hash_that_no_guess_proves(database: Database, tenant: str, other: str) -> None:
    for owner in (tenant, other):
        assert request(database, owner) is None

    found = lying(database, "answers")
    assert len(set(found)) == 2 and all(each.startswith("h1.") and len(each) <= 64 for each in found)
    assert not any(OPEN[:16] in each for each in found)


def test_a_request_of_before_is_the_same_request_after_the_upgrade(
    database: Database, settings: Settings, tenant: str
) -> None:
    request(database, tenant)
    with database.of(tenant).transaction() as sql:
        answers.keep(sql, tenant, "once", Kept(201, {}, "made"))
        sql.execute(text("UPDATE answers SET fingerprint = :open"), {"open": OPEN})

    assert (old_hashes.count(database), key_hashes(settings), key_hashes(settings)) == (1, 1, 0)

    assert request(database, tenant) == Kept(201, {}, "made")
    with pytest.raises(InvalidRequest):
        request(database, tenant, b"{}")
    assert lying(database, "answers")[0].startswith("h1.")


def test_jobs_of_before_are_found_by_reuse_and_by_applied_decisions(
    database: Database, settings: Settings, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_hashes, "ROWS_AT_ONCE", 2)
    new, labels = NewJob(tenant=tenant, action="train", queue="train", datasets=["ds_1"]), {3: "rock"}
    params = {"target": "genre"}

    def reused(sql: object) -> str:
        return reuse.fingerprint(sql, new, params=params, contents=["c"])  # type: ignore[arg-type]

    said = (
        '{"action":"train","budget":{},"datasets":["c"],"kind":null,"model":null,"params":{"target":"genre"},'
        '"promote":null,"version":null}',
        '["audit", "job_1", [[3, "rock"]]]',
        *"abc",
    )
    with database.of(tenant).transaction() as sql:
        made = [make_job(sql, tenant) for _ in (*said, "none")]
        for job, each in zip(made, said, strict=False):
            hashed = hashlib.sha256(each.encode()).hexdigest()
            sql.execute(text("UPDATE jobs SET fingerprint = :h WHERE id = :job"), {"h": hashed, "job": job})

    assert (key_hashes(settings), old_hashes.count(database)) == (len(said), 0)

    with database.of(tenant).reading() as sql:
        wanted = [reused(sql), audits.fingerprint(sql, tenant, "job_1", labels)]
        found = [sql.execute(select(jobs.c.id).where(jobs.c.fingerprint == each)).scalar() for each in wanted]
        assert sql.execute(select(jobs.c.fingerprint).where(jobs.c.id == made[-1])).scalar() is None
    assert found == made[:2]


def test_a_row_that_is_given_its_tenants_key_by_another_process_is_left(database: Database, tenant: str) -> None:
    request(database, tenant)
    before = lying(database, "answers")

    assert list(old_hashes.key_all(database)) == []

    assert lying(database, "answers") == before
    with database.reading() as sql:
        assert sql.execute(select(answer_table.c.key)).scalars().all() == ["once"]
