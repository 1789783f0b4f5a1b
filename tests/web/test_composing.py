"""What is asked of a model of scores, at the door."""

import base64
import json
from typing import Any

import pytest
from sqlalchemy import insert

from shared import ids
from shared.database import Database, now
from shared.tables import jobs, models, versions
from tests.factories import SONGS, make_dataset, make_job
from tests.web.calling import Caller

Json = dict[str, Any]

MIDI = base64.b64encode(b"MThd and so on").decode()
TRAIN = {"action": "train", "kind": "generation", "dataset": "scores"}
ROLES = {"target": [], "group": None, "id": None, "mask": [], "drop": []}
PROFILE = {"rows": 10, "columns": [], "roles": ROLES, "symbolic": {"bars": 100}}


@pytest.fixture(autouse=True)
def scores(database: Database, tenant: str) -> None:
    """Datasets of scores and of songs, and a model of each."""
    with database.transaction() as sql:
        make_dataset(sql, tenant, name="scores", format="symbolic", profile=PROFILE)
        make_dataset(sql, tenant, name="songs", profile=SONGS)
        for name, kind, format in (("choir", "generation", "symbolic"), ("rock", "classification", "table")):
            job, model = make_job(sql, tenant), ids.new("mdl")
            sql.execute(insert(models).values(id=model, tenant=tenant, name=name, kind=kind, created_at=now()))
            sql.execute(
                insert(versions).values(
                    id=ids.new("ver"), tenant=tenant, model=model, number=1, job=job, fence=1, files=[], metrics={},
                    baselines={},
                    warnings=[], lineage={"dataset": {"format": format}}, parameters=10, created_at=now(),
                )
            )  # fmt: skip
        sql.execute(jobs.update().values(state="succeeded"))


def submit(caller: Caller, body: Json) -> Any:
    return caller.call("POST", "/v1/jobs", body)


def generate(**params: Any) -> Json:
    return {"action": "generate", "model": "choir", "params": params}


def test_a_composition_needs_a_model_and_no_dataset(caller: Caller) -> None:
    answer = submit(caller, generate(bars=4))

    assert answer.status_code == 202
    assert (answer.json["kind"], answer.json["model"], answer.json["params"]) == ("generation", "choir", {"bars": 4})
    assert submit(caller, {"action": "generate", "params": {}}).json["errors"][0]["pointer"] == "/model"


def test_everything_else_needs_a_dataset(caller: Caller) -> None:
    for body in ({"action": "train", "kind": "generation"}, {"action": "evaluate", "model": "choir"}):
        answer = submit(caller, body)

        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/dataset")


def test_sound_needs_a_soundfont_of_the_operator(caller: Caller) -> None:
    answer = submit(caller, generate(formats=["midi", "wav"]))

    assert (answer.status_code, answer.json["code"]) == (501, "soundfont_missing")
    assert "ETUDE_SOUNDFONT" in answer.json["detail"]
    assert "fluidsynth" in answer.json["detail"]


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        (generate(temperature=100), "/params/temperature", "10"),
        (generate(temperature=-1), "/params/temperature", "0"),
        (generate(key="H major"), "/params/key", "C major"),
        (generate(meter="4/3"), "/params/meter", "4/4"),
        (generate(prompt={"content": "no base64!"}), "/params/prompt/content", "base64"),
        (generate(prompt={}), "/params/prompt", "content"),
        (generate(prompt={"content": MIDI}, melody={"content": MIDI}), "/params", "one of prompt"),
        (generate(melody={"content": MIDI}, bars=4), "/params", "how long"),
        (generate(melody={"content": MIDI, "voices": [0, 0]}), "/params/melody", "once"),
        (generate(infill={"content": MIDI, "bars": [[4, 2]]}), "/params/infill", "not after"),
        (generate(ranges=[[70, 60]]), "/params", "lowest"),
        (generate(melody={"piece": "a.mid"}), "/dataset", "in which the given piece stands"),
        (generate(pieces=257), "/params/pieces", "256"),
        ({"action": "generate", "model": "rock", "params": {}}, "/action", "train, score"),
        ({"action": "evaluate", "model": "choir", "dataset": "songs"}, "/dataset", "symbolic"),
        ({**TRAIN, "dataset": "songs"}, "/dataset", "symbolic"),
        ({**TRAIN, "params": {"network": {"type": "lstm"}}}, "/params/network", "gru"),
        ({**TRAIN, "params": {"network": {"type": "decoder", "width": 100, "heads": 3}}}, "/params/network", "divide"),
        ({**TRAIN, "params": {"learning_rate": {"schedule": "plateau"}}}, "/params/learning_rate", "cosine"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_its_place(caller: Caller, body: Json, pointer: str, words: str) -> None:
    answer = submit(caller, body)

    assert answer.status_code == 422, answer.json
    faults = [fault for fault in answer.json["errors"] if fault["pointer"].startswith(pointer)]
    assert faults, answer.json["errors"]
    assert words in json.dumps(faults)


def test_a_network_that_does_not_fit_is_refused_by_its_size(caller: Caller) -> None:
    giant = {"type": "decoder", "layers": 24, "width": 2048, "heads": 32, "reach": 4096}
    answer = submit(caller, {**TRAIN, "params": {"network": giant, "batch_size": 1024}})

    assert (answer.status_code, answer.json["code"]) == (422, "model_too_large")
    assert answer.json["errors"][0]["pointer"] == "/params/network"


def test_an_estimate_tells_the_size(caller: Caller) -> None:
    answer = caller.call("POST", "/v1/estimate", TRAIN)

    assert answer.status_code == 200
    assert answer.json["fits"]
    assert answer.json["parameters"] > 1_000_000


def test_a_schedule_may_compose(caller: Caller) -> None:
    nightly = {"name": "nightly", "cron": "0 3 * * *", "job": generate(bars=4)}

    made = caller.call("POST", "/v1/schedules", nightly)
    assert made.status_code == 201, made.json
    ran = caller.call("POST", f"/v1/schedules/{made.json['id']}/run")

    assert ran.status_code == 202, ran.json
    jobs = caller.call("GET", f"/v1/jobs?schedule={made.json['id']}").json["data"]
    assert [(job["action"], job["datasets"]) for job in jobs] == [("generate", [])]
