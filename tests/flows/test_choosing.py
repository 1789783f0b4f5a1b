"""Choosing as its users do it: a search, a leak that is told, a promotion refused, a rollback, a training once more."""

import os
import random
import signal
from collections.abc import Iterator

import psutil
import pytest

from shared.processes import read_register
from tests.flows.service import Service, wait


def songs(artists: int) -> str:
    """Four songs an artist; every tenth of them stands there twice, under another name."""
    chance = random.Random(3)
    timbre = ",".join(f"timbre_{place}" for place in range(8))
    lines = [f"id,artist,tempo,{timbre},genre"]
    for artist in range(artists):
        genre = chance.choice(["pop", "rock"])
        for song in range(4):
            heard = [chance.gauss(125 if genre == "rock" else 100, 10), *(chance.gauss(0, 1) for _ in range(8))]
            told = ",".join(f"{value:.3f}" for value in heard)
            lines.append(f"s{artist}-{song},a{artist},{told},{genre}")
            if artist % 10 == 0:
                lines.append(f"copy-{artist}-{song},b{artist},{told},{genre}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("home"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    return service.upload("songs", songs(80), target="genre", group="artist", id="id")


@pytest.fixture(scope="module")
def searched(service: Service, dataset: str) -> str:
    """A model whose champion a search has made, and whose second version has learned next to nothing."""
    params = {"trials": 6, "finalists": 2, "halving": None, "train": {"epochs": 30}}
    wanted = {"action": "tune", "kind": "classification", "dataset": dataset, "model": "genre", "params": params}
    wanted["promote"] = {"alias": "champion"}
    best = service.finish(service.call("POST", "/v1/jobs", wanted)["id"])
    assert best["state"] == "succeeded", best["error"]
    worse = {"epochs": 1, "learning_rate": 1e-6, "test": 0.2, "validation": {"folds": 4}}
    poor = {"action": "train", "kind": "classification", "dataset": dataset, "model": "genre", "params": worse}
    assert service.finish(service.call("POST", "/v1/jobs", poor)["id"])["state"] == "succeeded"
    return str(best["id"])


def test_what_stands_on_both_sides_of_the_split_is_told(service: Service, searched: str) -> None:
    # No artist is torn, and yet the copies bear other names.
    report = service.call("GET", "/v1/models/genre/versions/1/card")["leakage"]

    found = report["report"]["found"]
    assert report["suspected"] and found["equal_rows"] > 0 and found["near_rows"]["pairs"] and not found["groups"]


def test_a_search_tells_of_every_trial_and_its_finals_decide(service: Service, searched: str) -> None:
    board = service.call("GET", f"/v1/jobs/{searched}/trials")
    card = service.call("GET", "/v1/models/genre/versions/1/card")

    assert board["total"] == 6 + 3 and [trial["final"] for trial in board["data"][:3]] == [True] * 3
    assert card["search"]["winner"] == board["data"][0]["number"]
    assert card["metrics"]["test"]["accuracy"]["interval"] and card["search"]["best"]


def test_a_promotion_is_refused_with_its_reason_and_one_that_was_forced_is_rolled_back_in_one_call(
    service: Service, searched: str
) -> None:
    champion = "/v1/models/genre/aliases/champion"
    require = {"metric": "accuracy", "not_worse_than": "champion"}

    refused = service.refused("PUT", champion, {"version": 2, "require": require})
    service.call("PUT", champion, {"version": 2})
    service.call("POST", f"{champion}/rollback")

    assert refused["code"] == "gate_refused" and "/require/not_worse_than" in [
        fault["pointer"] for fault in refused["errors"]
    ]
    assert service.call("GET", champion)["version"] == 1
    moves = service.call("GET", f"{champion}/history")["data"]
    assert [move["version"] for move in moves] == [1, 2, 1]


def test_a_version_is_trained_again_byte_for_byte_in_another_process(service: Service, searched: str) -> None:
    [child] = psutil.Process(read_register(service.home)["worker-1"]).children()
    os.kill(child.pid, signal.SIGKILL)
    wait(lambda: not child.is_running())

    job = service.finish(service.call("POST", "/v1/jobs", {"action": "reproduce", "model": "genre@1"})["id"])

    assert job["state"] == "succeeded", job["error"]
    assert job["result"]["identical"], job["result"]["files"]
    assert job["result"]["differences"] == []
