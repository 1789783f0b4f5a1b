"""What the demos share: the service that they use, the lines that they say, and how they end."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from etude import Client, EtudeError, connection, page, show

from shared import processes, settings
from shared.up import free_port, is_free

START_LIMIT_S = 120.0
VERDICTS = {
    "leaks": "it can be told which rows trained",
    "no_leak_seen": "it can hardly be told which rows trained",
    "inconclusive": "too few rows to conclude anything",
}

Json = dict[str, Any]

console = page.console()


def run(demonstrate: Callable[[Path], None], say_how_to_go_on: Callable[[Path], None]) -> int:
    """Run a demo in the home that the settings name; returns the exit status."""
    began = time.monotonic()
    home = settings.read().home
    try:
        with service(home):
            demonstrate(home)
            console.print(f"\n[bold]Done in {time.monotonic() - began:.0f} s. Go on with[/bold]")
            say_how_to_go_on(home)
    except EtudeError as error:
        show.error(error, as_json=False)
        console.print(f"The service's own words are in {home / 'logs'}.")
        return 1
    except TimeoutError as error:
        console.print(f"[red]error:[/red] {error} Its own words are in {home / 'logs'} and {home / 'demo.log'}.")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


@contextmanager
def service(home: Path) -> Iterator[None]:
    """The service of this home: the one that runs, or one of our own for as long as the demo takes."""
    if processes.read_register(home):
        console.print(f"Etude runs already from {home}; the demo uses it.")
        yield
        return
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = os.environ.get("ETUDE_PORT") or ("8000" if is_free("127.0.0.1", 8000) else str(free_port("127.0.0.1")))
    with (home / "demo.log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "shared.up"],
            env={**os.environ, "ETUDE_PORT": port},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(home, started)
        yield
    finally:
        started.terminate()
        started.wait()


def _wait_for(home: Path, started: subprocess.Popen[bytes]) -> None:
    """Return once every process runs. Raises TimeoutError when that does not happen."""
    until = time.monotonic() + START_LIMIT_S
    with console.status("starting web, workers, scheduler and Redis"):
        while not processes.read_register(home):
            if started.poll() is not None or time.monotonic() > until:
                raise TimeoutError("Etude did not start.")
            time.sleep(0.05)


def client_of(home: Path) -> Client:
    """A client of this home's service, whatever other one the variables ETUDE_URL and ETUDE_KEY may name."""
    found = connection.find(None, None, environment={"ETUDE_HOME": str(home)})
    return Client(found.url, found.key)


def tell_privacy(client: Client, reference: str) -> None:
    """What the card of a version says that it gives away of the rows that trained it, in two lines."""
    said = client.card(reference)["privacy"]
    console.print(f"differential privacy: {_bound(said['dp'])}")
    console.print(f"membership: {_attack(said['membership'])}")


def _bound(dp: Json | str) -> str:
    if not isinstance(dp, dict):
        return f"{dp} (trained without it)"
    epsilon = dp["reason"] if dp["epsilon"] is None else f"epsilon {page.figure(dp['epsilon'])}"
    return f"{epsilon}, delta {dp['delta']:.1g}, of each {dp['unit']}"


def _attack(report: Json) -> str:
    if not report["measured"]:
        return f"not measured, {report['reason']}"
    auc = page.figure_with_interval(report["auc"])
    return f"an attack by the losses has AUC {auc}, where 0.5 is chance: {VERDICTS[report['verdict']]}"


def step(number: int, said: str) -> None:
    console.print(f"\n[bold]{number}. {said}[/bold]")
