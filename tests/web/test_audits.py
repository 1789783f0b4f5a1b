"""An audit at the door: what is refused, its pages, what is decided of its suspects, and what comes of that."""

import csv
import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from shared import datasets, ids
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import datasets as dataset_table
from shared.tables import jobs as job_table
from shared.tables import outputs, tenants
from tests.factories import SONGS, make_dataset, make_job
from tests.web.calling import Caller, a_key

GENRES = ("jazz", "pop", "rock")
ONE = {"columns": ["genre"], "separator": None, "has_several": False, "labels": list(GENRES)}
SEVERAL = {**ONE, "separator": ";", "has_several": True}
FLAGS = {**ONE, "columns": list(GENRES), "has_several": True}
AUDIT = {"action": "audit", "kind": "classification", "dataset": "songs"}
# Ranked are so many of the rows: the others have no label.
ROWS = 250

Json = dict[str, Any]


@pytest.fixture
def songs(database: Database, tenant: str) -> str:
    with database.transaction() as sql:
        return make_dataset(sql, tenant, name="songs", profile=SONGS, rows=300)


def line(row: int, target: Json) -> Json:
    given, suggested = ("pop", "=rock") if row % 2 else ("rock", "pop")
    several = target["has_several"]
    return {
        "row": row, "key": f"song {row}", "given": [given] if several else given,
        "suggested": [suggested, "jazz"] if several else suggested, "doubted": given, "self_confidence": 0.1,
        "confidence": 0.8, "margin": -0.7, "is_suspect": row > 200,
    }  # fmt: skip


def make_audit(
    database: Database, storage: Storage, tenant: str, dataset: str, target: Json = ONE, state: str = "succeeded"
) -> str:
    """An audit that a worker has done, the last row ranked first."""
    lines = [json.dumps(line(row, target)).encode() + b"\n" for row in reversed(range(ROWS))]
    marks = [sum(map(len, lines[:place])) for place in range(0, ROWS, 100)] + [sum(map(len, lines))]
    contents = {"audit.jsonl": b"".join(lines), "audit.index": b"".join(each.to_bytes(8, "little") for each in marks)}
    with database.of(tenant).transaction() as sql:
        job = make_job(sql, tenant, action="audit", model=None, datasets=[dataset])
        done = {"state": state, "result": {"target": target}, "ended_at": 1.0}
        sql.execute(update(job_table).where(job_table.c.id == job).values(done))
        for name, content in contents.items():
            stored = storage.put(f"test/{job}/{name}", [content])
            row = {"tenant": tenant, "job": job, "name": name, "key": f"test/{job}/{name}", "rows": ROWS}
            sql.execute(outputs.insert().values(**row, size_bytes=stored.size_bytes, sha256=stored.sha256))
    return job


@pytest.fixture
def job(database: Database, storage: Storage, tenant: str, songs: str) -> str:
    return make_audit(database, storage, tenant, songs)


def put(caller: Caller, job: str, row: int, decision: str, **more: Any) -> TestResponse:
    return caller.call("PUT", f"/v1/jobs/{job}/audit/{row}", {"decision": decision, **more})


def post(caller: Caller, job: str, body: Any) -> TestResponse:
    return caller.call("POST", f"/v1/jobs/{job}/audit/decisions", body)


def post_csv(client: FlaskClient, key: str, job: str, content: str | bytes) -> TestResponse:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/csv"}
    return client.post(f"/v1/jobs/{job}/audit/decisions", data=content, headers=headers)


def apply(caller: Caller, job: str) -> TestResponse:
    return caller.call("POST", f"/v1/jobs/{job}/audit/apply")


def test_what_an_erasure_took_of_an_audit_or_a_scoring_is_told_as_that(
    caller: Caller, database: Database, tenant: str, songs: str, job: str
) -> None:
    with database.of(tenant).transaction() as sql:
        scoring = make_job(sql, tenant, action="score", datasets=[songs])
        sql.execute(update(job_table).where(job_table.c.id == scoring).values(state="succeeded", ended_at=1.0))
        # As shared/derived.py does it.
        sql.execute(outputs.delete().where(outputs.c.job == job))

    answers = [
        caller.call("GET", f"/v1/jobs/{job}/audit"),
        put(caller, job, 249, "accept"),
        post(caller, job, [{"row": 249, "decision": "accept"}]),
        apply(caller, job),
        *(caller.call("GET", f"/v1/jobs/{scoring}/{each}") for each in ("predictions", "predictions/errors", "files")),
    ]

    assert [(each.status_code, each.json["code"]) for each in answers] == [(409, "outputs_erased")] * len(answers)


def test_an_audit_is_a_job_that_makes_no_model(caller: Caller, songs: str) -> None:
    taken = caller.call("POST", "/v1/jobs", {**AUDIT, "params": {"folds": 3, "top": 50, "epochs": 20}})
    expected = caller.call("POST", "/v1/estimate", AUDIT).json["expected_s"]

    assert (taken.status_code, taken.json["model"]) == (202, None)
    assert taken.json["links"]["audit"] == f"/v1/jobs/{taken.json['id']}/audit"
    assert expected > caller.call("POST", "/v1/estimate", {**AUDIT, "action": "train"}).json["expected_s"]
    audits = {kind["name"] for kind in caller.call("GET", "/v1/kinds").json["data"] if "audit" in kind["actions"]}
    assert audits == {"classification"}


WRONG: list[tuple[Json, str]] = [
    ({"kind": "regression"}, "/action"),
    ({"model": "songs"}, "/model"),
    ({"promote": {"alias": "champion"}}, "/promote"),
    ({"dataset": ["songs", "songs"]}, "/dataset"),
    ({"params": {"folds": 1}}, "/params/folds"),
    ({"params": {"top": 0}}, "/params/top"),
    ({"params": {"validation": {"folds": 3}}}, "/params/validation"),
    ({"params": {"preset": "embedding"}}, "/params/preset"),
    ({"dataset": "nobody"}, "/dataset"),
]


@pytest.mark.parametrize(("change", "pointer"), WRONG)
def test_what_no_audit_can_be_is_refused(caller: Caller, songs: str, change: Json, pointer: str) -> None:
    refused = caller.call("POST", "/v1/jobs", {**AUDIT, **change})

    assert refused.status_code == 422, refused.json
    assert pointer in [fault["pointer"] for fault in refused.json["errors"]]


@pytest.mark.parametrize("code", ["target_constant", "target_missing"])
def test_a_dataset_of_one_class_or_of_none_is_refused(
    caller: Caller, database: Database, tenant: str, code: str
) -> None:
    tempo, genre = SONGS["columns"]  # type: ignore[misc]
    constant = {**SONGS, "columns": [tempo, {**genre, "constant": True}]}
    profile = constant if code == "target_constant" else {**SONGS, "roles": {**SONGS["roles"], "target": []}}  # type: ignore[dict-item]
    with database.transaction() as sql:
        make_dataset(sql, tenant, name="odd", profile=profile)

    refused = caller.call("POST", "/v1/jobs", {**AUDIT, "dataset": "odd"})

    assert (refused.status_code, refused.json["code"]) == (422, code)


def test_pages_show_the_ranking_with_what_was_decided(caller: Caller, job: str) -> None:
    put(caller, job, 249, "reject")
    put(caller, job, 248, "accept")

    first = caller.call("GET", f"/v1/jobs/{job}/audit?limit=200").json
    last = caller.call("GET", f"/v1/jobs/{job}/audit?limit=200&cursor={first['next_cursor']}").json

    assert (first["total"], first["accepted"], first["rejected"]) == (ROWS, 1, 1)
    assert [each["row"] for each in (*first["data"], *last["data"])] == list(reversed(range(ROWS)))
    assert [(each["decision"], each["label"]) for each in first["data"][:3]] == [
        ("reject", None), ("accept", "pop"), (None, None),
    ]  # fmt: skip
    assert last["next_cursor"] is None


def test_a_spreadsheet_goes_out_and_comes_back_with_decisions(
    caller: Caller, client: FlaskClient, database: Database, settings: Settings, tenant: str, job: str
) -> None:
    put(caller, job, 249, "reject")
    answer = caller.call("GET", f"/v1/jobs/{job}/audit", Accept="text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert answer.content_type == "text/csv" and len(rows) == ROWS
    # Not a formula any more.
    assert rows[0]["suggested"] == "'=rock" and rows[0]["decision"] == "reject"
    for row in rows[1:11]:
        row |= {"decision": "Accept", "label": "jazz"}
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    said = post_csv(client, a_key(database, settings, tenant), job, "\ufeff" + text.getvalue())

    assert (said.status_code, said.json) == (
        200, {"decided": 11, "accepted": 10, "rejected": 1, "new_labels": []},
    )  # fmt: skip


def test_the_last_decision_counts(caller: Caller, job: str) -> None:
    first = post(caller, job, [
        {"row": 8, "decision": "reject"}, {"key": "song 8", "decision": "accept", "label": "jazz"},
        {"key": "song 7", "decision": "accept"},
    ])  # fmt: skip
    after = put(caller, job, 7, "reject")

    assert first.json == {"decided": 2, "accepted": 2, "rejected": 0, "new_labels": ["=rock"]}
    assert after.json == {"row": 7, "decision": "reject", "label": None, "new_labels": []}
    shown = {each["row"]: each for each in caller.call("GET", f"/v1/jobs/{job}/audit?cursor=240").json["data"]}
    assert [(shown[row]["decision"], shown[row]["label"]) for row in (8, 7)] == [("accept", "jazz"), ("reject", None)]


def test_rows_that_no_audit_has_ranked_are_not_decided_of(caller: Caller, job: str) -> None:
    # A row that is no suspect may still be wrong: who looks at it knows better.
    assert put(caller, job, 0, "accept").status_code == 200
    assert put(caller, job, ROWS, "accept").status_code == 404
    assert put(caller, job, 10**30, "accept").status_code == 404

    refused = post(caller, job, [{"row": 1, "decision": "accept"}, {"row": ROWS, "decision": "accept"},
                                 {"key": "song 999", "decision": "reject"}])  # fmt: skip

    assert (refused.status_code, refused.json["code"], refused.json["errors_total"]) == (422, "row_not_ranked", 2)
    assert [fault["pointer"] for fault in refused.json["errors"]] == ["/1", "/2"]
    # All or nothing.
    assert caller.call("GET", f"/v1/jobs/{job}/audit").json["accepted"] == 1


def test_a_label_that_the_dataset_cannot_hold_is_refused(
    caller: Caller, database: Database, storage: Storage, tenant: str, songs: str
) -> None:
    job = make_audit(database, storage, tenant, songs, FLAGS)

    strange = put(caller, job, 2, "accept", label=["soul"])
    bodies: list[Json] = [{"decision": "maybe"}, {"decision": "accept", "row": 2}, {"decision": "accept", "label": ""}]
    wrong = [caller.call("PUT", f"/v1/jobs/{job}/audit/2", body) for body in bodies]

    assert (strange.status_code, strange.json["code"]) == (422, "label_unknown")
    assert [(each.status_code, each.json["code"]) for each in wrong] == [(422, "invalid_request")] * 3


def test_several_labels_are_taken_as_a_list_or_in_a_cell(
    caller: Caller, client: FlaskClient, database: Database, settings: Settings, storage: Storage, tenant: str,
    songs: str,
) -> None:  # fmt: skip
    job = make_audit(database, storage, tenant, songs, SEVERAL)

    listed = put(caller, job, 2, "accept", label=["jazz", "soul"])
    table = post_csv(client, a_key(database, settings, tenant), job, "row,decision,label\n3,accept,jazz; rock\n")

    assert listed.json["label"] == ["jazz", "soul"] and listed.json["new_labels"] == ["soul"]
    assert table.status_code == 200, table.json
    shown = {each["row"]: each for each in caller.call("GET", f"/v1/jobs/{job}/audit?cursor=240").json["data"]}
    assert shown[3]["label"] == ["jazz", "rock"]
    exported = caller.call("GET", f"/v1/jobs/{job}/audit", Accept="text/csv").text
    assert ",pop;jazz," in exported


def test_a_csv_that_is_none_is_refused(
    client: FlaskClient, database: Database, settings: Settings, tenant: str, job: str
) -> None:
    key = a_key(database, settings, tenant)

    wrong = [post_csv(client, key, job, content) for content in ("", "row,decision\n999,accept\n", b"x" * (2**24 + 1))]

    assert [(each.status_code, each.json["code"]) for each in wrong] == [
        (422, "decisions_invalid"), (422, "row_not_ranked"), (413, "body_too_large"),
    ]  # fmt: skip


def test_a_csv_of_a_hundred_thousand_lines_is_taken(
    client: FlaskClient, database: Database, settings: Settings, tenant: str, job: str
) -> None:
    lines = "".join(f"{number % ROWS},{'reject' if number < 99_990 else 'accept'}\n" for number in range(100_000))

    taken = post_csv(client, a_key(database, settings, tenant), job, "row,decision\n" + lines)

    assert taken.status_code == 200, taken.json
    assert taken.json["decided"] == ROWS and taken.json["accepted"] == 10


def test_applying_makes_the_next_version_once(
    caller: Caller, database: Database, tenant: str, songs: str, job: str
) -> None:
    assert apply(caller, job).json["code"] == "nothing_accepted"
    put(caller, job, 4, "reject")
    assert (apply(caller, job).status_code, apply(caller, job).json["code"]) == (409, "nothing_accepted")
    put(caller, job, 2, "accept", label="jazz")
    with database.transaction() as sql:
        make_dataset(sql, tenant, name="songs", version=2, profile=SONGS)

    first, again = apply(caller, job), apply(caller, job)
    put(caller, job, 6, "accept", label="jazz")
    other = apply(caller, job)

    assert (first.status_code, first.json["action"], first.json["params"]) == (202, "ingest", {"audit": job})
    assert again.json["id"] == first.json["id"] != other.json["id"]
    made = [caller.call("GET", f"/v1/datasets/{each.json['datasets'][0]}").json for each in (first, other)]
    assert [(each["reference"], each["state"]) for each in made] == [("songs@3", "ingesting"), ("songs@4", "ingesting")]
    assert made[0]["columns"] == {"target": ["genre"]}
    # Its rows are the audited ones', and so are the terms.
    carried = caller.call("GET", f"/v1/datasets/{made[0]['id']}/rights").json["rights"]
    assert [each["reference"] for each in carried["inputs"]] == ["songs@3", "songs@1"]
    assert caller.call("GET", f"/v1/datasets/{songs}").json["state"] == "ready"


def test_of_an_erased_dataset_nothing_is_decided_and_nothing_made(
    caller: Caller, database: Database, tenant: str, songs: str, job: str
) -> None:
    put(caller, job, 2, "accept")
    with database.transaction() as sql:
        datasets.erase(sql, tenant, songs)

    for refused in (apply(caller, job), put(caller, job, 3, "accept")):
        assert (refused.status_code, refused.json["code"]) == (409, "dataset_erased")


def test_an_audit_of_another_tenant_is_not_found(
    client: FlaskClient, database: Database, settings: Settings, storage: Storage, tenant: str, job: str
) -> None:
    other = ids.new("ten")
    with database.transaction() as sql:
        sql.execute(tenants.insert().values(id=other, name=other, created_at=0.0))
    stranger = Caller(client, a_key(database, settings, other))

    answers = [
        stranger.call("GET", f"/v1/jobs/{job}/audit"), put(stranger, job, 2, "accept"), apply(stranger, job),
        post(stranger, job, [{"row": 2, "decision": "accept"}]),
    ]  # fmt: skip

    assert [each.status_code for each in answers] == [404] * 4


def test_what_is_no_audit_or_has_not_ended_has_no_suspects(
    caller: Caller, database: Database, storage: Storage, tenant: str, songs: str
) -> None:
    with database.of(tenant).transaction() as sql:
        training = make_job(sql, tenant, datasets=[songs])
    failed = make_audit(database, storage, tenant, songs, state="failed")

    assert caller.call("GET", f"/v1/jobs/{training}/audit").status_code == 404
    early = caller.call("GET", f"/v1/jobs/{failed}/audit")
    assert (early.status_code, early.json["code"]) == (409, "no_audit_yet")
    assert apply(caller, failed).json["code"] == "no_audit_yet"
    with database.reading() as sql:
        assert [row.version for row in sql.execute(dataset_table.select()).all() if row.name == "songs"] == [1]


def test_decisions_are_sent_as_json_or_csv_alone(client: FlaskClient, caller: Caller, job: str) -> None:
    refused = caller.call("POST", f"/v1/jobs/{job}/audit/decisions", **{"Content-Type": "text/plain"})
    nobody = post(caller, job, [])
    neither = post(caller, job, [{"decision": "accept"}])

    assert refused.status_code == 415
    assert (nobody.status_code, neither.status_code) == (422, 422)
