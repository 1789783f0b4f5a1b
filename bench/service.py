"""The whole service as its users start it, in a folder of its own, and a client of one kept connection."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from bench.measurement import MeasurementBroken
from shared.processes import die_with_parent, read_register

START_LIMIT_S = 60.0
JOB_LIMIT_S = 600.0
# A child that has used no CPU for so long has been prepared and waits for its first job.
STILL_S = 0.5
ENDED = ("succeeded", "failed", "cancelled")

Json = dict[str, Any]


class Service:
    """One running `python -m shared.up`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        client = json.loads((home / "client.json").read_text())
        self.key = client["key"]
        self.port = int(urlsplit(client["url"]).port or 0)
        self._connection = HTTPConnection("127.0.0.1", self.port, timeout=70)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:  # Any: JSON
        """Say one request; the answer's JSON. Raises MeasurementBroken unless it is a success."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        media = {} if body is None else {"Content-Type": "application/json"}
        sent = {"Authorization": f"Bearer {self.key}", **media, **headers}
        try:
            self._connection.request(method, path, content, sent)
            answer = self._connection.getresponse()
        except (RemoteDisconnected, BrokenPipeError):
            # Idle for too long, it was closed: nothing was heard of this request.
            self._connection.close()
            self._connection.request(method, path, content, sent)
            answer = self._connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise MeasurementBroken(f"{method} {path}: {answer.status} {said[:500]!r}")
        return json.loads(said) if said else None

    def submit(self, wanted: Json) -> str:
        return str(self.call("POST", "/v1/jobs", wanted)["id"])

    def finish(self, job_id: str) -> Json:
        """The job once it has succeeded, waited for as a client would."""
        until = time.monotonic() + JOB_LIMIT_S
        while time.monotonic() < until:
            job: Json = self.call("GET", f"/v1/jobs/{job_id}", Prefer="wait=60")
            if job["state"] == "succeeded":
                return job
            if job["state"] in ENDED:
                break
        raise MeasurementBroken(f"{job_id} is {job['state']}: {job['error']}")

    def upload(self, name: str, content: bytes, *, file: str = "table.csv", **columns: Any) -> str:
        """A ready dataset of one file."""
        dataset = self.call("POST", "/v1/datasets", {"name": name, "columns": columns})
        octets = {"Content-Type": "application/octet-stream"}
        self.call("PUT", f"/v1/datasets/{dataset['id']}/files/{file}", content, **octets)
        self.finish(self.call("POST", f"/v1/datasets/{dataset['id']}/commit")["id"])
        return str(dataset["id"])

    def process(self, name: str) -> psutil.Process:
        """A process of the service: web, worker-1, …"""
        return psutil.Process(read_register(self.home)[name])

    def training_child(self) -> psutil.Process:
        """The process that trains, once it waits for a job."""
        return _still_child(self.process("worker-1"))

    def renew_child(self) -> None:
        """Have the training child replaced by one that has done nothing yet."""
        before = self.training_child()
        before.kill()
        wait_until(lambda: not before.is_running(), limit_s=START_LIMIT_S)
        self.training_child()


@contextlib.contextmanager
def running(**settings: str) -> Iterator[Service]:
    """A service of its own, stopped at the end; `settings` are its environment (ETUDE_WORKERS="0")."""
    with tempfile.TemporaryDirectory(prefix="etude-bench-") as folder:
        home = Path(folder)
        # Those of benchmarks are no settings of the service, which refuses what it does not know.
        others = {name: value for name, value in os.environ.items() if not name.startswith("ETUDE_BENCH_")}
        # One key is all the clients there are.
        rates = {"ETUDE_KEY_RATE": "0", "ETUDE_SUBMISSION_RATE": "0"}
        environment = {**others, "ETUDE_HOME": folder, "ETUDE_PORT": "0", **rates, **settings}
        process = subprocess.Popen(
            [sys.executable, "-m", "shared.up"], env=environment, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent
        )
        try:
            wait_until((home / "run" / "processes.json").exists, limit_s=START_LIMIT_S)
            yield Service(home)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def wait_until(is_true: Callable[[], bool], *, limit_s: float) -> None:
    """Return once it is true. Raises MeasurementBroken after the limit."""
    until = time.monotonic() + limit_s
    while not is_true():
        if time.monotonic() > until:
            raise MeasurementBroken(f"it did not happen within {limit_s:g} s")
        time.sleep(0.005)


def _still_child(worker: psutil.Process) -> psutil.Process:
    until = time.monotonic() + START_LIMIT_S
    seen: tuple[int, float] | None = None
    while time.monotonic() < until:
        children = worker.children()
        now = (children[0].pid, sum(children[0].cpu_times()[:2])) if children else None
        if now is not None and now == seen:
            return children[0]
        seen = now
        time.sleep(STILL_S)
    raise MeasurementBroken("no training child was ready")
