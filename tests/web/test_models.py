"""A model is deleted at the door: once nobody needs it, with its files, and no sooner."""

import pytest
from sqlalchemy import insert, select, update

from shared import jobs
from shared.database import Database
from shared.storage import Storage
from shared.tables import jobs as job_table
from shared.tables import models, versions
from tests.factories import make_job
from tests.web.calling import Caller

FILE = "t/somebody/jobs/job_1/1/files/weights.safetensors"


@pytest.fixture(autouse=True)
def songs(database: Database, storage: Storage, tenant: str) -> None:
    """A model of two versions, the second with a file."""
    storage.put(FILE, [b"weights"])
    with database.transaction() as sql:
        made = {"tenant": tenant, "name": "songs", "kind": "classification", "created_at": 0}
        sql.execute(insert(models).values(id="mdl_songs", **made))
        for number in (1, 2):
            trained = make_job(sql, tenant)
            files = [{"name": "weights.safetensors", "key": FILE}] if number == 2 else []
            sql.execute(
                insert(versions).values(
                    id=f"ver_{number}", tenant=tenant, model="mdl_songs", number=number, job=trained, fence=1,
                    files=files, metrics={}, baselines={}, warnings=[], lineage={}, parameters=1, created_at=0,
                )
            )  # fmt: skip
        sql.execute(update(job_table).values(state=jobs.SUCCEEDED))


def score(database: Database, tenant: str, *, version: str = "ver_2") -> str:
    with database.transaction() as sql:
        return make_job(sql, tenant, action="score", version=version)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_model_that_a_job_scores_with_stays_and_the_jobs_are_named(
    caller: Caller, database: Database, storage: Storage, tenant: str, state: str
) -> None:
    waiting = [score(database, tenant, version=version) for version in ("ver_1", "ver_2")]
    if state == "running":
        with database.transaction() as sql:
            mine = job_table.c.id.in_(waiting)
            sql.execute(update(job_table).where(mine).values(state="running", lease_until=9e9))

    answer = caller.call("DELETE", "/v1/models/songs")

    assert (answer.status_code, answer.json["code"]) == (409, "model_in_use")
    assert all(job in answer.json["detail"] for job in waiting)
    assert [fault["message"] for fault in answer.json["errors"]] == [f"the job {job} is {state}" for job in waiting]
    assert caller.call("GET", "/v1/models/songs").status_code == 200
    assert storage.exists(FILE)


def test_once_they_have_ended_it_goes_with_its_files(
    caller: Caller, database: Database, storage: Storage, tenant: str
) -> None:
    job = score(database, tenant)
    assert caller.call("DELETE", "/v1/models/songs").status_code == 409
    with database.transaction() as sql:
        jobs.cancel(sql, tenant, job)

    assert caller.call("DELETE", "/v1/models/songs").status_code == 204

    assert not storage.exists(FILE)
    with database.reading() as sql:
        assert sql.execute(select(versions)).all() == []


def test_a_training_under_the_same_name_and_another_tenants_job_are_in_nobodys_way(
    caller: Caller, database: Database, tenant: str, other: str
) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant, model="songs")
        make_job(sql, other, action="score", version="ver_2")

    assert caller.call("DELETE", "/v1/models/songs").status_code == 204


def test_of_very_many_jobs_the_first_are_named(caller: Caller, database: Database, tenant: str) -> None:
    for _ in range(7):
        score(database, tenant)

    answer = caller.call("DELETE", "/v1/models/songs")

    assert answer.json["detail"].count("job_") == 5 and " and more" in answer.json["detail"]
    assert answer.json["errors_total"] == 7
