"""Scores over HTTP, as a client sends them: uploaded, learned from, and new ones composed, continued and harmonised."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.flows.service import Service
from tests.worker import chorales

SMALL = {
    "network": {"type": "gru", "units": [32], "embedding": 8, "head": 32},
    "epochs": 3,
    "trial": {"pieces": 2, "bars": 2},
}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    started = Service(tmp_path_factory.mktemp("home"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def dataset(service: Service) -> Json:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for seed in range(12):
            file.writestr(f"songs/{seed}.mid", chorales.midi(seed))
    made = service.call("POST", "/v1/datasets", {"name": "songs", "format": "symbolic"})
    service.put(f"/v1/datasets/{made['id']}/files/songs.zip", archive.getvalue())
    ended = service.finish(service.call("POST", f"/v1/datasets/{made['id']}/commit")["id"])
    assert ended["state"] == "succeeded", ended
    return service.call("GET", f"/v1/datasets/{made['id']}")


@pytest.fixture(scope="module")
def model(service: Service, dataset: Json) -> Json:
    body = {"action": "train", "kind": "generation", "dataset": "songs", "model": "songs", "params": SMALL}
    ended = service.finish(service.call("POST", "/v1/jobs", body)["id"])
    assert ended["state"] == "succeeded", ended
    return ended["result"]


def generate(service: Service, **params: Any) -> tuple[Json, list[Json], dict[str, bytes]]:
    body = {"action": "generate", "model": "songs", "params": params}
    ended = service.finish(service.call("POST", "/v1/jobs", body)["id"])
    assert ended["state"] == "succeeded", ended
    rows = service.call("GET", f"/v1/jobs/{ended['id']}/predictions")["data"]
    archive = service.get(f"/v1/jobs/{ended['id']}/files", Accept="application/zip")
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        return ended["result"], rows, {name: files.read(name) for name in files.namelist()}


def test_a_folder_of_midi_becomes_a_model_with_a_card(model: Json) -> None:
    metrics = model["metrics"]

    assert set(metrics["validation"]) >= {"nll_per_token", "nll_per_frame", "token_accuracy", "nll_per_token_told"}
    assert metrics["music"]["parallels"]["training"]["value"] is not None
    assert metrics["copies"]["generated"]["pieces"] == 2


def test_the_same_seed_gives_the_same_files_byte_for_byte(service: Service, model: Json) -> None:
    first, second, other = (generate(service, pieces=2, bars=2, seed=seed) for seed in (5, 5, 6))

    assert first[1] == second[1]
    assert first[2] == second[2]
    assert first[2] != other[2]
    assert sorted(name.rpartition(".")[2] for name in first[2]) == sorted(2 * ["mid", "musicxml", "json", "png"])
    assert first[0]["pieces"] == 2


def test_a_melody_is_harmonised_and_stands_as_it_was(service: Service, model: Json) -> None:
    given = base64.b64encode(chorales.midi(3)).decode()

    _, rows, files = generate(
        service, melody={"content": given, "voices": [0]}, constraints={}, formats=["json"], seed=1
    )

    (content,) = files.values()
    piece = json.loads(content)["piece"]
    soprano = [note for note in piece["notes"] if note[4] == 0]
    asked = chorales.chorale(3)
    wanted = asked.notes[asked.notes["voice"] == 0]
    assert [note[2] for note in soprano] == wanted["pitch"].tolist()
    assert len({note[4] for note in piece["notes"]}) == 4
    assert rows[0]["parallels"] == 0 or rows[0]["relaxed"]
