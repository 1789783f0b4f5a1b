"""The demo of scores with a training of seconds in place of minutes; and the melody that it harmonises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from examples import demo_music, melody
from worker import symbolic_reading
from worker.ingest import UploadedFile

LIMIT_S = 240.0
# The same demo with ten chorales and a network that learns little.
QUICK = """
import sys
from examples import demo_music
demo_music.CHORALES = "bwv27?.mxl"
demo_music.PARAMS |= {"network": {"type": "gru", "units": [32], "embedding": 8, "head": 32}, "epochs": 2,
                      "trial": {"pieces": 2, "bars": 2}}
sys.exit(demo_music.main())
"""


class Home:
    """Where the demo runs, once or more."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def run(self) -> str:
        """What it printed."""
        done = subprocess.run(
            [sys.executable, "-c", QUICK],
            env={**os.environ, "ETUDE_HOME": str(self.place), "ETUDE_PORT": "0", "COLUMNS": "160"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("composed"))


@pytest.fixture(scope="module")
def output(home: Home) -> str:
    return home.run()


def test_the_demo_learns_harmonises_composes_and_tells_what_was_copied(output: str, home: Home) -> None:
    for told in (
        "10 pieces",
        "loss a token",
        "token frequencies",
        "parallel fifths",
        "longest passage",
        "Go on with",
        "differential privacy: none",
        "membership: an attack by the losses has AUC",
    ):
        assert told in output
    for folder in ("harmonised", "composed"):
        names = [path.name for path in (home.place / "demo" / folder).iterdir()]
        for ending in (".mid", ".musicxml", ".png", ".json"):
            assert sum(name.endswith(ending) for name in names) == demo_music.TRIES
    piece = json.loads(next((home.place / "demo" / "harmonised").glob("*.json")).read_text())["piece"]
    assert [note[2] for note in piece["notes"] if note[4] == 0] == [pitch for pitch, _ in melody.ODE]


def test_the_dataset_is_made_once_and_nothing_is_left_running(output: str, home: Home) -> None:
    again = home.run()

    assert "uploading" in output and "uploading" not in again
    assert "chorales@2" in again
    assert [p for p in psutil.process_iter(["cmdline"]) if home.place.name in str(p.info["cmdline"])] == []


def test_the_melody_is_a_midi_file_of_one_voice_in_g_major(tmp_path: Path) -> None:
    path = tmp_path / "ode.mid"
    path.write_bytes(melody.midi())

    (reading,) = symbolic_reading.read([UploadedFile("ode.mid", path)], tmp_path)

    assert reading.piece is not None
    assert reading.piece.notes["pitch"].tolist() == [pitch for pitch, _ in melody.ODE]
    assert (len(reading.piece.voices), reading.piece.keys[0].sharps) == (1, 1)
    assert sum(quarters for _, quarters in melody.ODE) == 8 * melody.BEATS_A_BAR


def test_what_is_sung_is_told_beat_by_beat() -> None:
    notes = [[0.0, 1.0, 67, 80, 0], [1.0, 1.5, 66, 80, 0], [0.0, 4.0, 43, 80, 1], [4.0, 0.5, 70, 80, 0]]

    lines = demo_music.sung({"voices": [{}, {}], "notes": notes})

    assert lines == ["G4  F♯4 F♯4  –  | B♭4", "G2  G2  G2  G2  |  – "]
