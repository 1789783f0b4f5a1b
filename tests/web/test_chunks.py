"""The chunks of a scoring over HTTP: who is at which rows, page by page, and nobody else's."""

import dataclasses
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from shared import chunks, claims, ids, keys
from shared.claims import Claim, Skills
from shared.database import Database, now
from shared.errors import EtudeError
from shared.settings import Settings
from shared.tables import chunks as chunk_table
from shared.tables import tenants
from tests.factories import make_job
from web.app import create_app, create_services


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    services = create_services(settings)
    yield create_app(services).test_client()
    services.database.close()


@pytest.fixture
def claim(database: Database, tenant: str) -> Claim:
    """Of a scoring of ten rows: one chunk failed, one is being done, one waits."""
    with database.transaction() as sql:
        make_job(sql, tenant, action="score")
        claim = claims.claim_next(sql, "train", worker="w1", skills=Skills(["score"], ["classification"]), lease_s=30)
        assert claim is not None
        chunks.cut(sql, claim, total=10, size=4)
        taken = chunks.take(sql, claim, lease_s=30)
        assert taken is not None
        chunks.fail(sql, claim, taken, EtudeError("It broke.", code="row_unscorable"))
        chunks.take(sql, claim, lease_s=30)
    return claim


def headers(database: Database, settings: Settings, tenant: str) -> dict[str, str]:
    with database.transaction() as sql:
        key = keys.create(sql, tenant, name="test", scope=keys.READ, pepper=settings.pepper)
    return {"Authorization": f"Bearer {key}"}


def test_chunks_are_told_page_by_page(
    client: FlaskClient, database: Database, settings: Settings, tenant: str, claim: Claim
) -> None:
    mine, path = headers(database, settings, tenant), f"/v1/jobs/{claim.job_id}/chunks"

    first = client.get(f"{path}?limit=2", headers=mine).json
    rest = client.get(f"{path}?limit=2&cursor={first['next_cursor']}", headers=mine).json

    assert [(each["first"], each["rows"], each["state"]) for each in first["data"]] == [
        (0, 4, "open"), (4, 4, "running")
    ]  # fmt: skip
    assert (first["data"][0]["losses"], first["data"][0]["error"]["detail"]) == (1, "It broke.")
    assert (first["data"][1]["worker"], first["data"][1]["ended_at"]) == ("w1", None)
    assert (first["next_cursor"], first["total"]) == ("8", 3)
    assert [each["first"] for each in rest["data"]] == [8] and rest["next_cursor"] is None


def test_what_each_worker_has_done_is_told_with_where_it_is(
    client: FlaskClient, database: Database, settings: Settings, tenant: str, claim: Claim
) -> None:
    guest = dataclasses.replace(claim, worker="w2")
    with database.transaction() as sql:
        done = chunks.take(sql, guest, lease_s=30)
        assert done is not None
        chunks.finish(sql, guest, done, {"rows": done.rows, "file": {"key": "chunk"}})

    said = client.get(f"/v1/jobs/{claim.job_id}/chunks?limit=1", headers=headers(database, settings, tenant)).json

    w1, w2 = said["workers"]
    assert (w1["worker"], w1["rows"], w1["chunks"], w1["took_s"], w1["failed"]) == ("w1", 0, 0, 0.0, 1)
    assert (w1["at"]["first"], w1["at"]["rows"]) == (4, 4) and w1["at"]["since"].endswith("Z")
    assert (w2["worker"], w2["rows"], w2["chunks"], w2["failed"], w2["at"]) == ("w2", 2, 1, 0, None)
    assert 0 <= w2["took_s"] < 10
    assert said["total"] == 3


def test_a_failure_is_told_of_who_had_it_until_the_chunk_is_tried_again(
    client: FlaskClient, database: Database, settings: Settings, tenant: str, claim: Claim
) -> None:
    guest = dataclasses.replace(claim, worker="w2")
    with database.transaction() as sql:
        taken = [chunks.take(sql, guest, lease_s=30) for _ in range(2)]
        # Not at the same millisecond, which is all that SQLite's clock tells apart.
        first = (chunk_table.c.job == claim.job_id) & (chunk_table.c.first == 8)
        sql.execute(update(chunk_table).where(first).values(started_at=chunk_table.c.started_at - 1))

    said = client.get(f"/v1/jobs/{claim.job_id}/chunks", headers=headers(database, settings, tenant)).json

    assert [each is not None and each.first for each in taken] == [8, 0]
    assert [(each["worker"], each["failed"]) for each in said["workers"]] == [("w1", 0), ("w2", 0)]
    # It was lost at one of them and has gone on with the other.
    assert said["workers"][1]["at"]["first"] == 0


def test_of_what_another_job_has_done_no_worker_is_told(
    client: FlaskClient, database: Database, settings: Settings, tenant: str
) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant, action="score")
        row = {"tenant": tenant, "job": job, "rows": 4, "fence": 0, "losses": 0}
        sql.execute(insert(chunk_table), [{**row, "first": 0, "state": "done"}, {**row, "first": 4, "state": "open"}])

    said = client.get(f"/v1/jobs/{job}/chunks", headers=headers(database, settings, tenant)).json

    assert (said["workers"], said["total"]) == ([], 2)


def test_another_tenant_s_chunks_are_unknown(
    client: FlaskClient, database: Database, settings: Settings, claim: Claim
) -> None:
    with database.transaction() as sql:
        stranger = ids.new("tnt")
        sql.execute(insert(tenants).values(id=stranger, name="stranger", created_at=now()))

    said = client.get(f"/v1/jobs/{claim.job_id}/chunks", headers=headers(database, settings, stranger))

    assert (said.status_code, said.json["code"]) == (404, "not_found")
