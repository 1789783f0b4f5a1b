"""Datasets of audio at the door: names with folders, roles, and what is refused before anything is heard."""

from typing import Any

import pytest

from tests.web.calling import Caller


def create(caller: Caller, **body: Any) -> Any:
    return caller.call("POST", "/v1/datasets", {"name": "songs", "format": "audio", **body})


def put(caller: Caller, dataset: str, name: str) -> Any:
    headers = {"Authorization": f"Bearer {caller._key}"}
    return caller._client.put(f"/v1/datasets/{dataset}/files/{name}", data=b"RIFF", headers=headers)


@pytest.mark.parametrize("name", ["rock/a.wav", "a.wav", "rock/live/song 1.mp3", "B%C3%A4nd/a.ogg"])
def test_a_name_may_hold_folders(caller: Caller, name: str) -> None:
    assert put(caller, create(caller).json["id"], name).status_code == 204


@pytest.mark.parametrize(
    "name", ["../a.wav", "rock/../a.wav", "rock/./a.wav", "rock%5Ca.wav", "rock/", "a%E2%80%AE.wav"]
)
def test_a_name_that_leads_elsewhere_is_refused(caller: Caller, name: str) -> None:
    answer = put(caller, create(caller).json["id"], name)

    assert answer.status_code in (404, 422)


def test_the_roles_of_audio_are_for_audio(caller: Caller) -> None:
    roles = {"file": "path", "start": "from", "end": "to", "tempo": "bpm", "key": "key", "notes": "midi"}

    taken = create(caller, columns=roles)
    refused = caller.call("POST", "/v1/datasets", {"name": "t", "format": "table", "columns": roles})

    assert (taken.status_code, taken.json["columns"]) == (201, roles)
    assert (refused.status_code, refused.json["code"]) == (422, "invalid_request")


def test_a_dataset_of_tables_has_no_tracks(caller: Caller) -> None:
    table = caller.call("POST", "/v1/datasets", {"name": "t"}).json["id"]
    audio = create(caller).json["id"]

    assert caller.call("GET", f"/v1/datasets/{table}/tracks").status_code == 404
    assert caller.call("GET", f"/v1/datasets/{audio}/tracks").json["code"] == "dataset_not_ready"


def test_an_analysis_needs_no_model_and_takes_no_other(caller: Caller) -> None:
    def code(**body: Any) -> Any:
        return caller.call("POST", "/v1/jobs", {"action": "score", "dataset": "ds_none", **body}).json["code"]

    assert code(kind="analysis") == "unknown_reference"
    assert code(kind="analysis", model="etude.nothing") == "unknown_reference"
    assert code(model="etude.tagger-mtt@2") == "unknown_reference"
