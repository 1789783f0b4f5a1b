"""Erasures at the door: what is refused, that a dataset is gone at once, and a receipt that anybody can verify."""

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from flask.testing import FlaskClient
from sqlalchemy import select, update

from shared import erasures as deciding
from shared import keys, schedules
from shared.database import Database
from shared.erasures import Wanted
from shared.errors import NotAllowedNow
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import answers, erasures
from shared.tables import jobs as job_table
from tests.factories import SONGS, make_dataset, make_job
from tests.waiting import until
from tests.web.calling import Caller, a_key
from tests.worker import working
from worker import runner

WAYS = re.search(r"```python verify\n(.*?)```", (Path("docs") / "privacy.md").read_text(), re.DOTALL)


@pytest.fixture
def plays(database: Database, tenant: str) -> str:
    with database.transaction() as sql:
        return make_dataset(sql, tenant, name="plays", format="interactions", parts=[])


@pytest.fixture
def songs(database: Database, tenant: str) -> str:
    with database.transaction() as sql:
        return make_dataset(sql, tenant, name="songs", profile=SONGS)


def keyed_by(column: str) -> Any:
    return {**SONGS, "roles": {**SONGS["roles"], "id": column}}  # type: ignore[dict-item]


def erase(caller: Caller, models: str = "keep", **subject: str) -> Any:
    return caller.call("POST", "/v1/erasures", {"subject": subject, "models": models})


def test_a_dataset_is_unknown_from_the_answer_on(caller: Caller, songs: str) -> None:
    nobody = caller.call("GET", f"/v1/datasets/{songs[:-1]}_").json

    decided = erase(caller, dataset="songs")

    assert (decided.status_code, decided.json["state"]) == (202, "decided"), decided.text
    assert decided.headers["Location"] == f"/v1/erasures/{decided.json['id']}"
    assert decided.json["subject"] == {"kind": "dataset", "dataset": "songs", "version": None, "pseudonym": None}
    gone = caller.call("GET", f"/v1/datasets/{songs}")
    assert (gone.status_code, gone.json["detail"]) == (404, nobody["detail"])
    assert caller.call("GET", "/v1/datasets").json["data"] == []
    assert erase(caller, dataset="songs").json["code"] == "unknown_reference"
    assert [each["id"] for each in caller.call("GET", "/v1/erasures").json["data"]] == [decided.json["id"]]


def test_jobs_on_it_are_told_to_end_and_schedules_that_name_it_pause(
    caller: Caller, songs: str, database: Database, settings: Settings, tenant: str
) -> None:
    body = {"action": "train", "kind": "classification", "dataset": "songs@latest", "model": "m"}
    said = {"cron": "0 3 * * *", "timezone": "UTC", "overlap": "skip", "misfire": "once", "misfire_grace_s": 3600.0}
    with database.transaction() as sql:
        job = make_job(sql, tenant, datasets=[songs])
        of_others = make_job(sql, tenant)
        schedules.create(sql, tenant, {"name": "nightly", "job": body, **said}, settings)

    erase(caller, dataset="songs")

    states = [caller.call("GET", f"/v1/jobs/{each}").json["state"] for each in (job, of_others)]
    assert states == ["cancelled", "queued"]
    paused = caller.call("GET", "/v1/schedules/nightly").json
    assert (paused["state"], paused["next_at"]) == ("paused", None)
    assert "was erased" in paused["error"]["detail"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"subject": {"dataset": "nothing"}, "models": "keep"}, "unknown_reference"),
        ({"subject": {"dataset": "songs@9"}, "models": "keep"}, "unknown_reference"),
        ({"subject": {"dataset": "songs@latest"}, "models": "keep"}, "unknown_reference"),
        ({"subject": {"dataset": "songs"}, "models": "retrain"}, "nothing_to_train_from"),
        ({"subject": {"dataset": "songs"}, "models": "forget"}, "invalid_request"),
        ({"subject": {"dataset": "songs"}}, "invalid_request"),
        ({"subject": {}, "models": "keep"}, "invalid_request"),
        ({"subject": {"dataset": "plays", "listener": " "}, "models": "keep"}, "invalid_request"),
        ({"subject": {"dataset": "plays", "listener": "x", "track": "x"}, "models": "keep"}, "invalid_request"),
        ({"subject": {"dataset": "keyed", "track": ""}, "models": "keep"}, "invalid_request"),
        ({"subject": {"dataset": "plays", "track": "x"}, "models": "keep"}, "track_unsupported"),
        ({"subject": {"dataset": "songs", "track": "x"}, "models": "keep"}, "track_unsupported"),
        ({"subject": {"dataset": "two ways", "track": "x"}, "models": "keep"}, "track_unsupported"),
        ({"subject": {"dataset": "nothing", "track": "x"}, "models": "keep"}, "unknown_reference"),
        ({"subject": {"dataset": "unheard", "track": "x"}, "models": "keep"}, "dataset_not_ready"),
        ({"subject": {"dataset": "songs", "listener": "alice"}, "models": "keep"}, "not_interactions"),
        ({"subject": {"dataset": "unread", "listener": "alice"}, "models": "keep"}, "dataset_not_ready"),
    ],
)
def test_what_cannot_be_is_refused_and_decides_nothing(
    caller: Caller, songs: str, plays: str, database: Database, tenant: str, body: Any, code: str
) -> None:
    with database.transaction() as sql:
        make_dataset(sql, tenant, name="unread", format="interactions", state="open")
        make_dataset(sql, tenant, name="unheard", format="audio", state="ingesting")
        make_dataset(sql, tenant, name="keyed", profile=keyed_by("id"))
        for version, column in enumerate(("id", "title"), 1):
            make_dataset(sql, tenant, name="two ways", version=version, profile=keyed_by(column))

    answer = caller.call("POST", "/v1/erasures", body)

    status = 409 if code in ("not_interactions", "dataset_not_ready") else 422
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    with database.reading() as sql:
        assert sql.execute(select(erasures)).all() == []
    assert caller.call("GET", f"/v1/datasets/{songs}").status_code == 200


def test_of_two_that_ask_for_the_same_at_once_one_is_refused(
    database: Database, settings: Settings, tenant: str, plays: str
) -> None:
    wanted = Wanted(tenant, "key_test", "plays", "ada", None, "retrain", settings.pepper)
    refused: list[str | None] = []

    def decide() -> None:
        with database.of(tenant).transaction() as sql:
            try:
                deciding.decide(sql, wanted)
            except NotAllowedNow as refusal:
                refused.append(refusal.code)

    second = threading.Thread(target=decide)
    with database.of(tenant).transaction() as sql:
        deciding.decide(sql, wanted)
        second.start()
        # On SQLite it waits for the one writer.
        assert database.is_sqlite or until(lambda: _waits(database))
    second.join(30)

    assert refused == ["erasure_under_way"]


def _waits(database: Database) -> bool:
    said = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with database.reading() as sql:
        return bool(sql.exec_driver_sql(said).scalar())


@pytest.mark.parametrize("scope", [keys.READ, keys.SUBMIT])
def test_it_needs_an_admin(
    client: FlaskClient, database: Database, settings: Settings, tenant: str, songs: str, scope: str
) -> None:
    weak = Caller(client, a_key(database, settings, tenant, scope))

    assert erase(weak, dataset="songs").status_code == 403
    assert weak.call("GET", "/v1/erasures").status_code == 200


def test_a_listeners_id_is_kept_nowhere(caller: Caller, plays: str, database: Database, tenant: str) -> None:
    body = {"subject": {"dataset": "plays", "listener": "alice-of-the-canaries"}, "models": "keep"}

    decided = caller.call("POST", "/v1/erasures", body, **{"Idempotency-Key": "once"})
    again = caller.call("POST", "/v1/erasures", body, **{"Idempotency-Key": "once"})
    twice = caller.call("POST", "/v1/erasures", body)

    assert decided.json["subject"]["pseudonym"].startswith("p-")
    assert again.json["id"] == decided.json["id"]
    assert (twice.status_code, twice.json["code"]) == (409, "erasure_under_way")
    log = caller.call("GET", f"/v1/audit-log?object={decided.json['subject']['pseudonym']}").json["data"]
    assert [(row["action"], row["made"]) for row in log] == [("erasures.decide", decided.json["id"])]
    with database.reading() as sql:
        kept = [dict(row) for table in (job_table, erasures, answers) for row in sql.execute(select(table)).mappings()]
    whole = json.dumps([kept, caller.call("GET", "/v1/audit-log").json], default=str)
    assert "alice-of-the-canaries" not in whole


def test_the_key_of_a_track_is_kept_nowhere(caller: Caller, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_dataset(sql, tenant, name="tracks", format="audio", profile=keyed_by("etude.key"))

    decided = erase(caller, dataset="tracks", track="canary.wav")
    twice = erase(caller, dataset="tracks", track="canary.wav")
    another = erase(caller, dataset="tracks", track="b.wav")

    assert (decided.status_code, another.status_code) == (202, 202), decided.text
    assert (twice.status_code, twice.json["code"]) == (409, "erasure_under_way")
    subject = decided.json["subject"]
    assert (subject["kind"], subject["dataset"], subject["version"]) == ("track", "tracks", None)
    assert subject["pseudonym"].startswith("r-")
    assert another.json["subject"]["pseudonym"] != subject["pseudonym"]
    log = caller.call("GET", f"/v1/audit-log?object={subject['pseudonym']}").json["data"]
    assert [(row["action"], row["made"]) for row in log] == [("erasures.decide", decided.json["id"])]
    with database.reading() as sql:
        kept = [dict(row) for table in (job_table, erasures, answers) for row in sql.execute(select(table)).mappings()]
    assert "canary" not in json.dumps([kept, caller.call("GET", "/v1/audit-log").json], default=str)


def test_it_is_not_cancelled_and_what_has_failed_is_retried(
    caller: Caller, songs: str, database: Database, settings: Settings, storage: Storage, tenant: str
) -> None:
    decided = erase(caller, dataset="songs").json
    cancelled = caller.call("POST", f"/v1/jobs/{decided['job']}/cancel")
    assert (cancelled.status_code, cancelled.json["code"]) == (409, "erasure_decided")
    early = caller.call("GET", f"/v1/erasures/{decided['id']}/receipt")
    assert (early.status_code, early.json["code"]) == (409, "erasure_not_done")
    with database.of(tenant).transaction() as sql:
        failed = {"state": "failed", "error": {"code": "integrity", "detail": "damaged"}}
        sql.execute(update(job_table).where(job_table.c.id == decided["job"]).values(failed))
    assert caller.call("GET", f"/v1/erasures/{decided['id']}").json["state"] == "failed"

    assert caller.call("POST", f"/v1/jobs/{decided['job']}/retry").status_code == 202
    runner.run(working.make_post(settings, database, storage, worker="light-1"), "light", only_tenant=None)

    assert caller.call("GET", f"/v1/erasures/{decided['id']}").json["state"] == "done"
    assert caller.call("GET", f"/v1/erasures/{decided['id']}/receipt").json["receipt"]["remains"]


def test_anybody_can_verify_a_receipt_as_the_docs_say(
    caller: Caller, songs: str, database: Database, settings: Settings, storage: Storage, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert WAYS is not None
    decided = erase(caller, dataset="songs").json
    runner.run(working.make_post(settings, database, storage, worker="light-1"), "light", only_tenant=None)

    answer = caller.call("GET", f"/v1/erasures/{decided['id']}/receipt").json

    assert answer["public_key"] == caller.call("GET", "/v1/erasures/signing-key").json["public_key"]
    Path("receipt.json").write_text(json.dumps(answer))
    exec(WAYS[1], {})
    for path, forged in (("erasure", "era_x"), ("models_policy", "delete"), ("artefacts", [{}])):
        Path("receipt.json").write_text(json.dumps({**answer, "receipt": {**answer["receipt"], path: forged}}))
        with pytest.raises(InvalidSignature):
            exec(WAYS[1], {})
