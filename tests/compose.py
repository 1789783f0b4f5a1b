"""Reads Dockerfile and docker-compose.yml as Docker would, and starts the same processes without it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from sqlalchemy import make_url

from shared import redis_server
from shared.processes import die_with_parent
from tests.ports import free_port

Json = dict[str, Any]

ROOT = Path(__file__).parent.parent
LIMIT_S = 90.0
VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::([?-])([^}]*))?\})")


class Unset(Exception):
    """A variable that the file demands is missing; says the file's own sentence."""


def services(environment: Mapping[str, str]) -> dict[str, Json]:
    """The services of docker-compose.yml with every variable put in. Raises Unset."""
    found: dict[str, Json] = _fill(whole()["services"], environment)
    return found


def whole() -> Json:
    found: Json = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


def _fill(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _fill(item, environment) for name, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, environment) for item in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: _value(found, environment), value)
    return value


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    dollar, name, operator, rest = found.groups()
    if dollar:
        return "$"
    if not environment.get(name) and operator == "?":
        raise Unset(rest)
    return environment.get(name) or (rest if operator == "-" else "")


@dataclass(frozen=True)
class Stage:
    """One stage of the Dockerfile: what it stands on, and its instructions."""

    parent: str
    instructions: list[tuple[str, str]] = field(default_factory=list)


def stages() -> dict[str, Stage]:
    """The Dockerfile's stages by name."""
    found: dict[str, Stage] = {}
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    for line in filter(None, (line.strip() for line in text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            parent, _, name = rest.split()
            found[name] = Stage(parent)
        elif found:
            list(found.values())[-1].instructions.append((word, rest.strip()))
    return found


def instructions(target: str) -> list[tuple[str, str]]:
    """What a target has done to it, from its oldest stage on."""
    known = stages()
    done: list[tuple[str, str]] = []
    while target in known:
        done = known[target].instructions + done
        target = known[target].parent
    return done


def image_environment(target: str) -> dict[str, str]:
    words = [word for name, rest in instructions(target) if name == "ENV" for word in rest.split()]
    return dict(word.split("=", 1) for word in words)


def start_order(found: Mapping[str, Json]) -> list[str]:
    """Each service after those that it waits for. Raises KeyError for one that is not there."""
    order: list[str] = []

    def visit(name: str) -> None:
        for needed in found[name].get("depends_on", {}):
            visit(needed)
        if name not in order:
            order.append(name)

    for name in found:
        visit(name)
    return order


class Deployment:
    """The services of the file as processes of this host: other addresses and folders, all else as it says."""

    def __init__(self, found: Mapping[str, Json], *, folder: Path, database_url: str) -> None:
        self.services = found
        self.port, self._redis_port = free_port(), free_port()
        self._folder, self._database_url = folder, database_url
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        binaries = folder / "bin"
        binaries.mkdir()
        (binaries / "valkey-server").symlink_to(redis_server.find_binary())
        (binaries / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (binaries / "python").chmod(0o755)

    @property
    def redis_address(self) -> tuple[str, int]:
        return "127.0.0.1", self._redis_port

    def start(self) -> None:
        """Start each service once those that it waits for are as it wants them."""
        for name in start_order(self.services):
            for needed, wish in self.services[name].get("depends_on", {}).items():
                self._wait(needed, wish["condition"])
            self._running[name] = self._popen(name, self.services[name]["command"])

    def wait_healthy(self, name: str) -> None:
        """Return once the health check of the file says yes. Raises AssertionError with its answer after the limit."""
        until = time.monotonic() + LIMIT_S
        while (said := self.check(name)) is not None:
            assert self._running[name].poll() is None, f"{name} ended: {self.log(name)}"
            assert time.monotonic() < until, f"{name}: {said} {self.log(name)}"

    def check(self, name: str) -> str | None:
        """What the health check finds wrong now, or None."""
        test = self.services[name]["healthcheck"]["test"]
        if test[0] != "CMD" or test[1] != "python":
            return None  # the check of another image, by a program that only that image has
        asked = self._popen(name, test[1:], stderr=subprocess.PIPE)
        said = asked.communicate(timeout=30)[1].decode()
        return None if asked.returncode == 0 else said or "it says nothing"

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()[-2000:]

    def stop(self) -> dict[str, int]:
        """Tell each to end, the last started first, within its grace; returns what each ended with."""
        ended = {}
        for name, process in reversed(self._running.items()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            ended[name] = process.wait(float(self.services[name].get("stop_grace_period", "10s").removesuffix("s")))
        return ended

    def kill(self) -> None:
        """End what is left, whatever happened before."""
        for process in self._running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def environment(self, name: str) -> dict[str, str]:
        """What the service would find in its environment, with the addresses and folders of this host."""
        service = self.services[name]
        target = service.get("build", {}).get("target")
        said = {**(image_environment(target) if target else {}), **service.get("environment", {})}
        said |= {"PATH": f"{self._folder / 'bin'}:{os.environ['PATH']}", "OMP_NUM_THREADS": "2"}
        if target:
            said |= {"ETUDE_HOST": "127.0.0.1", "ETUDE_PORT": str(self.port)}
            said |= {variable: self._there(text) for variable, text in said.items() if "@postgres:5432/" in text}
        return {variable: self._here(name, text) for variable, text in said.items()}

    def folder_of_code(self, name: str) -> Path:
        """Where the service's process starts: an image's /app."""
        return ROOT

    def _there(self, text: str) -> str:
        """The same role of the server of this host; for the file's superuser its own."""
        asked, there = make_url(text), make_url(self._database_url)
        if asked.username != whole()["services"]["postgres"]["environment"]["POSTGRES_USER"]:
            there = there.set(username=asked.username, password=asked.password)
        return there.render_as_string(hide_password=False)

    def _here(self, name: str, text: str) -> str:
        text = text.replace("@redis:6379", f"@127.0.0.1:{self._redis_port}")
        return re.sub(r"(?<![\w.])(?:/home/etude|/storage)\b", lambda found: str(self._mounted(name, found[0])), text)

    def _mounted(self, name: str, place: str) -> Path:
        """Where a folder of a container lies on this host; nobody can write to one that the file does not mount."""
        for volume in self.services[name].get("volumes", []):
            source, _, target = volume.rpartition(":")
            if target == place:
                path = self._folder / (source or f"{name}-own")
                path.mkdir(exist_ok=True)
                return path
        return Path(os.devnull) / "not mounted"

    def _popen(self, name: str, argv: list[str], stderr: int | None = None) -> "subprocess.Popen[bytes]":
        changes = (("bind 0.0.0.0", "bind 127.0.0.1"), ("port 6379", f"port {self._redis_port}"),
                   ("dir /data", f"dir {self._folder}"))  # fmt: skip
        for old, new in changes:
            argv = [word.replace(old, new) for word in argv]
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                argv,
                cwd=self.folder_of_code(name),
                env=self.environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log if stderr is None else stderr,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def _wait(self, name: str, condition: str) -> None:
        if condition == "service_completed_successfully":
            assert self._running[name].wait(LIMIT_S) == 0, f"{name}: {self.log(name)}"
        elif name in self._running:
            assert condition == "service_healthy"
            self.wait_healthy(name)
