"""The door, through Flask's own client, on both databases."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from shared import keys
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import jobs
from tests.factories import SONGS, make_dataset
from tests.web.calling import Caller, a_key
from web.api import ROUTES


@pytest.fixture
def dataset(database: Database, tenant: str) -> str:
    with database.transaction() as sql:
        return make_dataset(sql, tenant, profile=SONGS)


def training(dataset: str, **params: Any) -> dict[str, Any]:
    return {"action": "train", "kind": "classification", "dataset": dataset, "params": params}


def count_jobs(database: Database) -> int:
    with database.reading() as sql:
        return int(sql.execute(select(func.count()).select_from(jobs)).scalar_one())


def test_every_call_but_the_public_ones_needs_a_key(client: FlaskClient) -> None:
    public = {"/healthz", "/readyz", "/metrics", "/v1/openapi.json"}

    for number, route in enumerate(ROUTES):
        path = re.sub(r"<int:\w+>", "1", route.path)
        # From one address so many without a key would be held up.
        address = {"REMOTE_ADDR": f"198.51.100.{number % 250}"}
        bare = path.replace("<", "").replace(">", "").replace("path:", "")
        answer = client.open(bare, method=route.method, environ_base=address)
        assert (answer.status_code == 401) == (route.path not in public), route.path


@pytest.mark.parametrize(
    "header", ["", "Bearer ", "Bearer etude_a_b_c", "Basic eDp5", "Bearer étude", "Bearer " + "x" * 5000]
)
def test_every_wrong_key_gets_one_answer(client: FlaskClient, header: str) -> None:
    answer = client.get("/v1/jobs", headers={"Authorization": header.encode().decode("latin-1")})

    assert (answer.status_code, answer.json["code"]) == (401, "unauthorised")
    assert answer.mimetype == "application/problem+json"


@pytest.mark.hostile("H60")
def test_a_key_without_the_scope_is_forbidden(
    client: FlaskClient, database: Database, settings: Settings, tenant: str, dataset: str
) -> None:
    reader = Caller(client, a_key(database, settings, tenant, keys.READ))

    assert reader.call("GET", "/v1/jobs").status_code == 200
    assert reader.call("POST", "/v1/jobs", training(dataset)).json["code"] == "insufficient_scope"


def test_a_job_is_accepted_with_redis_away(caller: Caller, dataset: str) -> None:
    answer = caller.call("POST", "/v1/jobs", training(dataset, epochs=3))

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['id']}"
    shown = caller.call("GET", answer.headers["Location"])
    assert (shown.json["state"], shown.json["params"], shown.headers["Retry-After"]) == ("queued", {"epochs": 3}, "1")


def test_every_fault_is_listed_with_its_place(caller: Caller, dataset: str, database: Database) -> None:
    answer = caller.call("POST", "/v1/jobs", training(dataset, epochs=0, batch_size=True, colour="red"))

    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json["errors"]} == {
        "/params/epochs",
        "/params/batch_size",
        "/params/colour",
    }
    assert count_jobs(database) == 0


@pytest.mark.hostile("H14")
def test_a_giant_is_refused_with_its_computed_size(caller: Caller, dataset: str) -> None:
    answer = caller.call("POST", "/v1/jobs", training(dataset, hidden=[{"units": 2**31}]))

    assert (answer.status_code, answer.json["code"]) == (422, "model_too_large")
    assert "bytes" in answer.json["detail"]


def test_a_name_that_reads_as_an_id_is_refused(caller: Caller) -> None:
    answer = caller.call("POST", "/v1/datasets", {"name": "ds_songs"})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/name")


@pytest.mark.parametrize("reference", ["ds_nothing", "songs@99", "../../etc/passwd", "a@b@c"])
def test_an_unknown_reference_is_named_with_its_pointer(caller: Caller, reference: str) -> None:
    answer = caller.call("POST", "/v1/jobs", training(reference))

    assert (answer.status_code, answer.json["code"]) == (422, "unknown_reference")
    assert answer.json["errors"][0]["pointer"] == "/dataset"


@pytest.mark.hostile("H53")
def test_the_first_answer_is_replayed_and_another_body_refused(
    caller: Caller, dataset: str, database: Database
) -> None:
    again = {"Idempotency-Key": "once"}

    first = caller.call("POST", "/v1/jobs", training(dataset), **again)
    second = caller.call("POST", "/v1/jobs", training(dataset), **again)
    other = caller.call("POST", "/v1/jobs", training(dataset, epochs=2), **again)

    assert second.json == first.json
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json["code"]) == (422, "idempotency_mismatch")
    assert count_jobs(database) == 1


def test_anothers_job_answers_like_one_that_is_not_there(
    client: FlaskClient, caller: Caller, dataset: str, database: Database, settings: Settings
) -> None:
    job = caller.call("POST", "/v1/jobs", training(dataset)).json["id"]
    with database.transaction() as sql:
        other = keys.ensure_tenant(sql, "other")
    stranger = Caller(client, a_key(database, settings, other))

    theirs, nobodys = (
        stranger.call("GET", f"/v1/jobs/{name}", **{"X-Request-Id": "same"}) for name in (job, "job_" + "0" * 26)
    )

    assert (theirs.status_code, theirs.data) == (404, nobodys.data)


def test_a_poll_with_its_etag_is_not_repeated(caller: Caller, dataset: str) -> None:
    path = caller.call("POST", "/v1/jobs", training(dataset)).headers["Location"]
    tag = caller.call("GET", path).headers["ETag"]

    unchanged = caller.call("GET", path, **{"If-None-Match": tag})
    caller.call("POST", f"{path}/cancel")
    changed = caller.call("GET", path, **{"If-None-Match": tag})

    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert changed.json["state"] == "cancelled"


def test_lists_go_on_where_the_cursor_says(caller: Caller, dataset: str) -> None:
    made = [caller.call("POST", "/v1/jobs", training(dataset)).json["id"] for _ in range(5)]

    first = caller.call("GET", "/v1/jobs?limit=3").json
    rest = caller.call("GET", f"/v1/jobs?limit=3&cursor={first['next_cursor']}").json

    assert [job["id"] for job in first["data"] + rest["data"]] == made[::-1]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("PATCH", "/v1/jobs", 405), ("GET", "/v1/jobs?colour=red", 422),
     ("GET", "/v1/jobs?limit=0", 422), ("GET", "/v1/jobs/%2e%2e%2fetc", 404)],
)  # fmt: skip
def test_every_refusal_is_a_problem_document(caller: Caller, method: str, path: str, status: int) -> None:
    answer = caller.call(method, path)

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert {"type", "title", "status", "detail", "code", "retryable", "request_id"} <= answer.json.keys()


def test_a_body_over_the_limit_is_refused_before_it_is_read(caller: Caller, client: FlaskClient) -> None:
    answer = caller.call("POST", "/v1/jobs", {"action": "x" * 2_000_000})

    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_forms_are_not_read(client: FlaskClient, caller: Caller) -> None:
    answer = caller._client.post("/v1/jobs", data={"a": "b"}, headers={"Authorization": f"Bearer {caller._key}"})

    assert answer.status_code == 415


def test_an_upload_whose_digest_differs_leaves_nothing(caller: Caller) -> None:
    dataset = caller.call("POST", "/v1/datasets", {"name": "songs"}).json["id"]
    headers = {"Authorization": f"Bearer {caller._key}", "Content-Digest": "sha-256=:" + "A" * 43 + "=:"}

    answer = caller._client.put(f"/v1/datasets/{dataset}/files/a.csv", data=b"a,b\n", headers=headers)

    assert (answer.status_code, answer.json["code"]) == (422, "digest_mismatch")
    assert caller.call("POST", f"/v1/datasets/{dataset}/commit").json["code"] == "dataset_empty"


def test_an_upload_that_replaces_another_leaves_one_file(caller: Caller, storage: Storage) -> None:
    dataset = caller.call("POST", "/v1/datasets", {"name": "songs"}).json["id"]
    headers = {"Authorization": f"Bearer {caller._key}"}

    for content in (b"a,b\n1,2\n", b"a,b\n3,4\n"):
        answer = caller._client.put(f"/v1/datasets/{dataset}/files/a.csv", data=content, headers=headers)
        assert answer.status_code == 204

    left = list(storage.keys("t/"))
    assert [storage.get(key) for key in left] == [b"a,b\n3,4\n"]


def test_the_document_names_every_call(client: FlaskClient) -> None:
    document = client.get("/v1/openapi.json").json

    assert document["openapi"] == "3.1.0"
    assert sum(len(calls) for calls in document["paths"].values()) == len(ROUTES)


def test_the_web_process_loads_no_tensorflow_numpy_or_arrow() -> None:
    script = (
        "import sys, json, web.app; print(json.dumps([name for name in "
        "('tensorflow', 'keras', 'numpy', 'pyarrow', 'sklearn') if name in sys.modules]))"
    )

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert json.loads(loaded) == []
