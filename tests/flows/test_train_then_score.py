"""The whole service as its users start it: upload, train, score, kill what runs, and read the result."""

import os
import random
import signal
from collections.abc import Iterator

import pytest

from shared.processes import read_register
from tests.flows.service import Service, wait


def songs(rows: int) -> str:
    """Songs whose tempo tells their genre, mostly."""
    chance = random.Random(1)
    lines = ["id,tempo,energy,genre"]
    for number in range(rows):
        genre = chance.choice(["pop", "rock"])
        lines.append(f"s{number},{chance.gauss(120 if genre == 'rock' else 100, 8):.2f},{chance.random():.3f},{genre}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("home"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    return service.upload("songs", songs(400), target="genre")


def test_a_model_is_trained_scored_with_and_read_back(service: Service, dataset: str) -> None:
    wanted = {"action": "train", "kind": "classification", "dataset": dataset, "model": "rock-or-pop"}

    trained = service.finish(service.call("POST", "/v1/jobs", wanted)["id"])
    assert trained["state"] == "succeeded", trained["error"]
    scored = service.finish(
        service.call("POST", "/v1/jobs", {"action": "score", "model": "rock-or-pop@1", "dataset": "songs@1"})["id"]
    )

    assert trained["result"]["metrics"]["validation"]["accuracy"]["value"] > 0.75
    assert scored["result"]["rows"] == 400
    rows = service.call("GET", f"/v1/jobs/{scored['id']}/predictions?limit=150&cursor=130")
    assert [row["key"] for row in rows["data"]] == [f"s{number}" for number in range(130, 280)]
    assert set(rows["data"][0]["probabilities"]) == {"pop", "rock"}
    assert len(service.call("GET", f"/v1/jobs/{trained['id']}/metrics")["data"]) == trained["result"]["epochs"]
    assert service.call("GET", "/v1/models/rock-or-pop/versions/1")["lineage"]["job"] == trained["id"]


@pytest.mark.parametrize("victim", ["worker-1", "redis", "web", "scheduler"])
def test_killing_any_one_process_changes_nothing_but_the_time(service: Service, dataset: str, victim: str) -> None:
    params = {"epochs": 4000, "hidden": [{"units": 32}, {"units": 16}], "early_stopping": False}
    wanted = {"action": "train", "kind": "classification", "dataset": dataset, "model": f"m-{victim}", "params": params}
    job = service.call("POST", "/v1/jobs", wanted)
    wait(lambda: service.call("GET", f"/v1/jobs/{job['id']}")["stage"] == "training")

    killed = read_register(service.home)[victim]
    os.kill(killed, signal.SIGKILL)
    # A child of a killed server may answer once more before it follows.
    wait(lambda: read_register(service.home)[victim] != killed and is_answering(service))
    ended = service.finish(job["id"])

    assert ended["state"] == "succeeded", ended["error"]
    assert ended["result"]["version"] == 1
    assert ended["result"]["epochs"] == 4000
    assert len(service.call("GET", f"/v1/models/m-{victim}")["versions"]) == 1


def is_answering(service: Service) -> bool:
    try:
        return service.call("GET", "/healthz") == {"status": "ok"}
    except OSError:
        return False
