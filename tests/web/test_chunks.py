"""The chunks of a scoring over HTTP: who is at which rows, page by page, and nobody else's."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from shared import chunks, claims, ids, keys
from shared.claims import Claim, Skills
from shared.database import Database, now
from shared.errors import EtudeError
from shared.settings import Settings
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


def test_another_tenant_s_chunks_are_unknown(
    client: FlaskClient, database: Database, settings: Settings, claim: Claim
) -> None:
    with database.transaction() as sql:
        stranger = ids.new("tnt")
        sql.execute(insert(tenants).values(id=stranger, name="stranger", created_at=now()))

    said = client.get(f"/v1/jobs/{claim.job_id}/chunks", headers=headers(database, settings, stranger))

    assert (said.status_code, said.json["code"]) == (404, "not_found")
