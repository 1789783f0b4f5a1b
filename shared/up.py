"""`python -m shared.up`: the whole service on one machine, until Ctrl-C. What is not given is started here.

SQLite, a folder, and a Redis of our own unless their URLs are set; one web, one scheduler, the workers.
"""

import dataclasses
import errno
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from shared import processes, redis_server, secrets, settings
from shared.backup import keys
from shared.containment import minimum
from shared.processes import Program, Supervisor
from shared.sealing import root_keys, starting
from shared.settings import Settings

START_LIMIT_S = 60.0


def main() -> None:
    chosen = settings.read()
    running = processes.read_register(chosen.home)
    if running:
        print(f"Etude already runs from {chosen.home} (process {running['supervisor']}).")  # noqa: T201
        return
    chosen, supervisor = prepare(chosen)
    supervisor.heed_signals()
    try:
        supervisor.start()
        print(welcome(chosen), flush=True)  # noqa: T201
        supervisor.watch()
    finally:
        supervisor.stop()


def prepare(chosen: Settings) -> tuple[Settings, Supervisor]:
    """Make what the service needs and is not given: secrets, a Redis, the schema, a first key, a free port."""
    minimum.demand(chosen)
    if chosen.port != 0:
        _demand_port(chosen.host, chosen.port)
    chosen.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    programs: list[Program] = []
    if not chosen.pepper:
        chosen = dataclasses.replace(chosen, pepper=secrets.pepper(chosen.home))
    # Where keys were wrapped already, a new one would open none of them.
    if not chosen.root_key and keys.store_of(chosen) is None:
        root_keys.make_once(Path(chosen.root_key_file))
    starting.demand(chosen)
    if not chosen.redis_url:
        place = redis_server.make_place(chosen.home / "redis")
        chosen = dataclasses.replace(chosen, redis_url=place.celery_url)
        redis_server.drop_saved(place)
        # Nothing is saved: the scheduler rings again, and whoever waited for an answer asks again.
        argv = redis_server.arguments(redis_server.find_binary(), place, is_persistent=False)
        programs.append(Program("redis", argv, wait_ready=lambda: redis_server.wait_ready(place)))
    if chosen.port == 0:
        chosen = dataclasses.replace(chosen, port=free_port(chosen.host))
    _make_ready(chosen)
    return chosen, Supervisor([*programs, *_services(chosen)], home=chosen.home)


def _demand_port(host: str, port: int) -> None:
    """Stop with a sentence unless web can listen there: beside another listener it would get half of the requests."""
    try:
        _bind(host, port)
    except OSError as cause:
        said = f"port {port} of {host} is taken: stop what listens there, or choose another ETUDE_PORT (0: a free one)."
        if cause.errno != errno.EADDRINUSE:
            said = (
                f"port {port} of {host} cannot be listened at ({cause.strerror}): choose other ETUDE_HOST, ETUDE_PORT."
            )
        raise SystemExit(f"Etude cannot start: {said}") from cause


def _make_ready(chosen: Settings) -> None:
    """Migrate, and make the embedded tenant's key at the first start."""
    environment = {**os.environ, **environment_of(chosen)}
    for module in ("migrations.upgrade", "web.first_key"):
        status = os.spawnve(os.P_WAIT, sys.executable, [sys.executable, "-m", module], environment)  # noqa: S606
        if status != 0:
            raise SystemExit(f"Etude cannot start: {module} ended with {status}.")


def _services(chosen: Settings) -> list[Program]:
    environment = environment_of(chosen)

    def program(name: str, *argv: str, **more: object) -> Program:
        return Program(name, [sys.executable, "-m", *argv], environment, **more)  # type: ignore[arg-type]

    trainers = [
        program(f"worker-{slot}", "worker.app", "--queue", "train", "--slot", str(slot), stop_grace_s=90.0)
        for slot in range(1, chosen.workers + 1)
    ]
    return [
        program("web", "web.serve", wait_ready=lambda: wait_for(chosen)),
        program("scheduler", "worker.tick"),
        program("answers", "worker.answers"),
        program("deliveries", "worker.deliveries", stop_grace_s=30.0),
        program("light", "worker.app", "--queue", "light", "--slot", "light", stop_grace_s=30.0),
        *trainers,
    ]


def environment_of(chosen: Settings) -> dict[str, str]:
    """The settings as the variables that another process reads them from."""
    chosen_values = dataclasses.asdict(chosen)
    # An empty one is one that is not given.
    values = {f"ETUDE_{name.upper()}": "" if value is None else str(value) for name, value in chosen_values.items()}
    # The installed packages were compiled once; without this, each start of TensorFlow compiles them again.
    return {**values, "PYTHONDONTWRITEBYTECODE": "", "PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}


def url_of(chosen: Settings) -> str:
    host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{chosen.port}"  # noqa: S104


def wait_for(chosen: Settings, *, limit_s: float = START_LIMIT_S) -> None:
    """Return once the web process answers. Raises TimeoutError after the limit."""
    _until(lambda: _answers(f"{url_of(chosen)}/healthz"), "The web process did not answer", limit_s)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 — our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _until(is_true: Callable[[], bool], said: str, limit_s: float) -> None:
    until = time.monotonic() + limit_s
    while not is_true():
        if time.monotonic() > until:
            raise TimeoutError(f"{said} within {limit_s:g} s.")
        time.sleep(0.05)


def free_port(host: str) -> int:
    """A port that nobody listens on now."""
    return _bind(host, 0)


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens on a port now."""
    try:
        _bind(host, port)
    except OSError:
        return False
    return True


def _bind(host: str, port: int) -> int:
    """Take a port for a moment, as a server would, and return which. Raises OSError."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # Connections of a server that has just ended are in nobody's way; one that listens is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return int(probe.getsockname()[1])


def welcome(chosen: Settings) -> str:
    client = Path(os.path.relpath(chosen.home / "client.json"))
    return (
        f"\nEtude runs at {url_of(chosen)}\n"
        f"  documentation   {url_of(chosen)}/docs\n"
        f"  your key        in {client}; the etude command finds it\n"
        f"  data and logs   {chosen.home}\n"
        f"  stop            Ctrl-C\n"
    )


if __name__ == "__main__":
    main()
