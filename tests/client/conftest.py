"""A whole service, and the command line as its user calls it."""

import fcntl
import json
import os
import pty
import random
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

ETUDE = str(Path(sys.executable).parent / "etude")
LIMIT_S = 120.0


def wait(is_true: Callable[[], Any]) -> Any:
    until = time.monotonic() + LIMIT_S
    while not (found := is_true()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)
    return found


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """A terminal in which a service is found."""

    home: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ETUDE_")}
        return {**kept, "ETUDE_HOME": str(self.home), "COLUMNS": "160"}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [ETUDE, *arguments], env=self.environment, cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_heed_ctrl_c,
        )  # fmt: skip

    def open(self, *arguments: str) -> "Terminal":
        """The same as a person sees it who sits at a terminal of 100 columns."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        environment = {**self.environment, "COLUMNS": "100", "TERM": "xterm"}
        process = subprocess.Popen(
            [ETUDE, *arguments], env=environment, cwd=self.folder,
            stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=_heed_ctrl_c,
        )  # fmt: skip
        os.close(theirs)
        return Terminal(process, ours)

    def run(self, *arguments: str, **environment: str) -> Ran:
        ran = subprocess.run(
            [ETUDE, *arguments], env={**self.environment, **environment}, cwd=self.folder, text=True,
            capture_output=True, timeout=LIMIT_S,
        )  # fmt: skip
        return Ran(ran.returncode, ran.stdout, ran.stderr)


class Terminal:
    """A command on a terminal, and all that it has written there."""

    def __init__(self, process: "subprocess.Popen[bytes]", place: int) -> None:
        self._process, self._place = process, place
        self._written = b""

    def read_until(self, said: str) -> None:
        until = time.monotonic() + LIMIT_S
        while said not in self.written:
            assert time.monotonic() < until, f"{said!r} was not written: {self.written[-2000:]}"
            assert self._read(), f"it ended: {self.written[-2000:]}"

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        self._process.send_signal(signal.SIGINT)
        while self._read():
            pass
        os.close(self._place)
        return self._process.wait(LIMIT_S)

    @property
    def written(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self._written.decode(errors="ignore"))

    def _read(self) -> bool:
        try:
            more = os.read(self._place, 65_536)
        except OSError:  # Linux says so once nobody writes there any more
            return False
        self._written += more
        return bool(more)


def _heed_ctrl_c() -> None:
    # Whoever runs the tests in the background has it ignored, for all that they start.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a running service."""
    place = tmp_path_factory.mktemp("client-home")
    # So many rows that a scoring of some thousands is cut, and can be watched.
    environment = {**os.environ, "ETUDE_HOME": str(place), "ETUDE_PORT": "0", "ETUDE_CHUNK_ROWS": "50"}
    process = subprocess.Popen([sys.executable, "-m", "shared.up"], env=environment, stdout=subprocess.DEVNULL)
    wait(lambda: (place / "run" / "processes.json").exists())
    yield place
    process.send_signal(signal.SIGTERM)
    process.wait(LIMIT_S)


@pytest.fixture
def shell(home: Path, tmp_path: Path) -> Shell:
    return Shell(home, tmp_path)


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Songs whose tempo tells their genre, mostly."""
    chance = random.Random(1)
    lines = ["id,tempo,energy,genre"]
    for number in range(200):
        genre = chance.choice(["pop", "rock"])
        lines.append(f"s{number},{chance.gauss(120 if genre == 'rock' else 100, 8):.2f},{chance.random():.3f},{genre}")
    path = tmp_path / "songs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def tone(pitch_hz: float, *, seconds: float = 3.5, rate_hz: int = 22_050, noise: float = 0.0) -> np.ndarray:
    """A plain sound, (samples,)."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    chance = np.random.default_rng(round(pitch_hz))
    return 0.3 * np.sin(2 * np.pi * pitch_hz * times) + noise * chance.standard_normal(len(times))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder as people have them: two genres of four recordings, their CSV, a picture, and a broken download."""
    folder = tmp_path / "shelf"
    lines = ["file,genre,artist"]
    for number in range(8):
        genre = ("calm", "noisy")[number % 2]
        path = folder / genre / f"song {number}.{('wav', 'ogg')[number // 2 % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(200 + 60 * number, noise=0.2 * (genre == "noisy")), 22_050)
        lines.append(f"{genre}/{path.name},{genre},artist {number}")
    (folder / "broken.mp3").write_bytes(b"\xff\xfb\x90\x64" + bytes(500))
    (folder / "manifest.csv").write_text("\n".join([*lines, "broken.mp3,calm,artist 9"]) + "\n")
    (folder / "cover.jpg").write_bytes(b"\xff\xd8\xff\xe0 a picture")
    return folder
