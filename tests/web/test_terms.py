"""On what terms may be used what a model has said: every route that serves such a thing says so, or says why not."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update

from shared import carried_rights, models
from shared.database import Database
from shared.questions import Inbox
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import datasets, jobs, outputs
from tests.web.belongings import Belongings, furnish
from tests.web.calling import Caller, a_key
from web.api import ROUTES
from web.app import create_app, create_services

JSON = "application/json"

# What a model has said: a path to ask for it, as its parameters are named here, and each form in which it comes.
SAID = {
    "GET /v1/jobs/<job_id>/predictions": ("/v1/jobs/{scoring}/predictions", (JSON, "text/csv",
                                          "application/vnd.apache.parquet")),
    "GET /v1/jobs/<job_id>/predictions/errors": ("/v1/jobs/{scoring}/predictions/errors", (JSON,)),
    # Harmonies, compositions, transcriptions and stems are files; explanations stand in predictions.
    "GET /v1/jobs/<job_id>/files": ("/v1/jobs/{scoring}/files", (JSON, "application/zip")),
    "GET /v1/jobs/<job_id>/files/<int:number>": ("/v1/jobs/{scoring}/files/0", ("audio/midi",)),
    "GET /v1/jobs/<job_id>/diff": ("/v1/jobs/{scoring}/diff?with={failed_scoring}", (JSON,)),
    "GET /v1/jobs/<job_id>/audit": ("/v1/jobs/{audit}/audit", (JSON, "text/csv")),
    "POST /v1/models/<reference>/recommend": ("/v1/models/{taste}/recommend", (JSON,)),
    "GET /v1/models/<reference>/similar": ("/v1/models/{taste}/similar?item=a", (JSON,)),
    "GET /v1/models/<name>/versions/<int:number>/similar": ("/v1/models/{ear}/versions/1/similar?track=a", (JSON,)),
}  # fmt: skip
# Everything else that is read of a job, a model or a dataset, and why no header says it there.
OTHERS = {
    "in the body": ("/v1/models/<name>/versions/<int:number>", "/v1/models/<name>/aliases/<alias>",
                    "/v1/models/<name>/versions/<int:number>/card", "/v1/datasets/<dataset_id>/rights",
                    "/v1/jobs/<job_id>", "/v1/jobs"),
    "in the manifest within": ("/v1/models/<name>/versions/<int:number>/download",),
    "of a model, and nothing that it said": ("/v1/models", "/v1/models/<name>", "/v1/models/<name>/aliases",
        "/v1/models/<name>/aliases/<alias>/history", "/v1/models/<name>/compare", "/v1/jobs/<job_id>/metrics",
        "/v1/jobs/<job_id>/trials"),
    "of how a job goes": ("/v1/jobs/<job_id>/chunks", "/v1/jobs/<job_id>/events", "/v1/events"),
    "what was uploaded": ("/v1/datasets", "/v1/datasets/<dataset_id>", "/v1/datasets/<dataset_id>/tracks",
                          "/v1/datasets/<dataset_id>/pieces"),
    "of the house": ("/v1/usage", "/v1/audit-log", "/v1/encryption-key", "/v1/erasures", "/v1/erasures/signing-key",
        "/v1/erasures/<erasure_id>", "/v1/erasures/<erasure_id>/receipt", "/healthz", "/healthz/sandbox", "/readyz",
        "/v1/keys", "/v1/keys/<key_id>", "/v1/kinds", "/v1/limits", "/v1/openapi.json", "/v1/schedules",
        "/v1/schedules/<schedule>", "/v1/schedules/<schedule>/next", "/v1/schedules/<schedule>/runs", "/metrics",
        "/v1/webhooks", "/v1/webhooks/<webhook_id>", "/v1/webhooks/<webhook_id>/deliveries",
        "/v1/webhooks/<webhook_id>/deliveries/<delivery_id>", "/v1/workers", "/v1/estimate", "/v1/manifests/verify"),
}  # fmt: skip
LINE = b'{"name": "a.mid", "offset": 0, "size_bytes": 1, "media_type": "audio/midi"}\n'
INDEX = (0).to_bytes(8, "little") + len(LINE).to_bytes(8, "little")

CASES = [(route, media_type) for route, (_, media_types) in SAID.items() for media_type in media_types]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough: what is read of it, tests of the ledger read of both."""
    return sqlite_url


@pytest.fixture
def client(redis: Settings, database: Database) -> Iterator[FlaskClient]:
    """The application, with somebody who answers its questions: with little, for the header is web's."""
    stopped, inbox = threading.Event(), Inbox(redis, database.cells)

    def answer() -> None:
        while not stopped.is_set():
            if (taken := inbox.take()) is not None:
                inbox.answer(taken, b'{"data": [], "changed": 0}')

    answering = threading.Thread(target=answer)
    answering.start()
    app = create_app(create_services(redis))
    yield app.test_client()
    stopped.set()
    answering.join()
    inbox.close()
    app.extensions["etude"].database.close()


@pytest.fixture
def mine(database: Database, settings: Settings, tenant: str) -> Belongings:
    """One of everything: learned from a dataset under CC-BY-4.0, and its scorings say so as a worker tells it."""
    made = furnish(database, settings, tenant, "mine")
    storage = Storage(settings)
    with database.of(tenant).transaction() as sql:
        # What is heard in it, too, may be asked.
        sql.execute(update(datasets).where(datasets.c.id == made.dataset).values(format="audio"))
        version = models.find_version(sql, tenant, made.model, 2)
        told = carried_rights.of_predictions(sql, version, [made.dataset])
        scorings = jobs.c.id.in_([made.scoring, made.failed_scoring])
        sql.execute(update(jobs).where(scorings).values(result={"rights": told}))
        names = [f"{name}.{suffix}" for name in ("predictions", "errors", "files") for suffix in ("jsonl", "index")]
        for name in ["predictions.csv", "predictions.parquet", "files.zip", *names]:
            stored = storage.put(f"t/{tenant}/{name}", [INDEX if name.endswith(".index") else LINE])
            row = {"key": f"t/{tenant}/{name}", "rows": 1, **vars(stored)}
            same = (outputs.c.job == made.scoring) & (outputs.c.name == name)
            if sql.execute(select(outputs.c.name).where(same)).first() is None:
                sql.execute(insert(outputs).values(tenant=tenant, job=made.scoring, name=name, **row))
            else:
                sql.execute(update(outputs).where(same).values(row))
    return made


def test_no_route_is_forgotten() -> None:
    """Whoever adds a route that reads says whether a model speaks there."""
    known = {path for paths in OTHERS.values() for path in paths}
    reading = {f"{route.method} {route.path}" for route in ROUTES if not route.changes}
    said_of_others = {each for each in reading if each.partition(" ")[2] in known}

    assert reading == SAID.keys() | said_of_others
    assert not SAID.keys() & said_of_others
    assert known == {each.partition(" ")[2] for each in said_of_others}


@pytest.mark.parametrize(("route", "media_type"), CASES)
def test_what_a_model_has_said_comes_with_its_terms(
    client: FlaskClient, database: Database, settings: Settings, mine: Belongings, route: str, media_type: str
) -> None:
    caller = Caller(client, a_key(database, settings, mine.tenant))
    body: Any = {"items": ["a"]} if route.startswith("POST") else None

    said = caller.call(route.partition(" ")[0], SAID[route][0].format(**vars(mine)), body, Accept=media_type)

    assert (said.status_code, said.mimetype) == (200, media_type), said.text
    terms = dict(part.split("=", 1) for part in said.headers["Etude-Rights"].split("; "))
    assert (terms["commercial"], terms["consent"]) == ("yes", "unknown")
    assert "CC-BY-4.0" in terms["licences"].strip('"').split(", ")


def test_of_two_scorings_the_stricter_terms_hold_and_none_where_one_has_none(
    client: FlaskClient, database: Database, settings: Settings, mine: Belongings
) -> None:
    caller = Caller(client, a_key(database, settings, mine.tenant))
    of_other = update(jobs).where(jobs.c.id == mine.failed_scoring)
    strict = {"what": "scored", "id": "x", "reference": "x@1", "consent": "refused", "marks": [], "commercial": "no",
              "licences": [{"licence": "CC-BY-NC-4.0", "attribution": False}]}  # fmt: skip
    path = SAID["GET /v1/jobs/<job_id>/diff"][0].format(**vars(mine))
    said = []
    for result in ({"rights": carried_rights.add_up([strict])}, {}):
        with database.of(mine.tenant).transaction() as sql:
            sql.execute(of_other.values(result=result))
        said.append(caller.call("GET", path))

    assert [each.status_code for each in said] == [200, 200]
    assert said[0].headers["Etude-Rights"].startswith("commercial=no; consent=refused; ")
    assert "Etude-Rights" not in said[1].headers
