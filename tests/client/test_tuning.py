"""A search on the command line: from a CSV to a leader board and a version, and in Python."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from etude import Client

from tests.client.conftest import Shell

SPACE = {
    "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
    "hidden": {"type": "layers", "count": {"type": "int", "low": 1, "high": 2},
               "each": {"units": {"type": "choice", "values": [4, 8]}}},
}  # fmt: skip


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[Client]:
    found = json.loads((home / "client.json").read_text())
    with Client(found["url"], found["key"]) as opened:
        yield opened


def write_songs(folder: Path) -> None:
    chance = random.Random(4)
    lines = ["tempo,energy,genre"]
    for _ in range(120):
        genre = chance.choice(["pop", "rock"])
        lines.append(f"{chance.gauss(120 if genre == 'rock' else 100, 9):.2f},{chance.random():.3f},{genre}")
    (folder / "tuned.csv").write_text("\n".join(lines) + "\n")
    (folder / "space.json").write_text(json.dumps(SPACE))


def test_a_csv_is_searched_for_the_best_settings(shell: Shell) -> None:
    write_songs(shell.folder)

    searched = shell.run(
        "tune", "tuned.csv", "--target", "genre", "--space", "space.json", "--fixed", "epochs=5", "--trials", "4",
        "--metric", "macro_f1", "--sampler", "random", "--param", "halving=null", "--watch",
    )  # fmt: skip
    model = shell.run("models", "tuned", "--json").json

    assert searched.code == 0, searched.err
    assert "macro f1" in searched.out and "learning_rate=" in searched.out
    assert searched.out.count(" done ") == 4
    assert "tuned@1" in searched.out
    assert len(model["versions"]) == 1


def test_a_leader_board_moves_on_a_terminal(shell: Shell) -> None:
    write_songs(shell.folder)

    terminal = shell.open(
        "tune", "tuned.csv", "--target", "genre", "--space", "space.json", "--fixed", "epochs=3000", "--fixed",
        "early_stopping=false", "--fixed", "batch_size=8", "--trials", "3", "--seconds", "4", "--watch",
    )  # fmt: skip

    terminal.read_until("searching")
    terminal.read_until("learning_rate=")
    terminal.read_until("running")
    terminal.read_until("The budget of 4 s is used up")
    terminal.read_until("etude score tuned@")
    terminal.stop()


def test_a_search_in_python_tells_its_trials(client: Client, tmp_path: Path) -> None:
    write_songs(tmp_path)
    dataset = client.upload(tmp_path / "tuned.csv", name="tuned-in-python", target="genre")

    search = client.tune(dataset, space=SPACE, train={"epochs": 4}, params={"trials": 2, "halving": None})
    search.wait()

    found = search.trials()
    assert found["total"] == 2 and found["stopped"] is None
    values = [trial["value"] for trial in found["data"]]
    assert values == sorted(values, reverse=True)
    assert search.result["search"]["winner"] == found["data"][0]["number"]
