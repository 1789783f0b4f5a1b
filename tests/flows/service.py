"""One running service, as its users start it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT_S = 90.0


class Service:
    """One running `python -m shared.up`."""

    def __init__(self, home: Path, *, output: int | None = None, **more: str) -> None:
        """`output` is where all goes that it prints itself, a file's descriptor; `more` are settings."""
        self.home = home
        environment = {**os.environ, "ETUDE_HOME": str(home), "ETUDE_PORT": "0", "ETUDE_LEASE_S": "6"}
        environment |= {"ETUDE_TICK_S": "1", "ETUDE_CHECKPOINT_S": "0.5", **more}
        printing = subprocess.PIPE if output is None else output
        command = [sys.executable, "-m", "shared.up"]
        self.process = subprocess.Popen(command, env=environment, stdout=printing, stderr=output)
        wait(lambda: (home / "run" / "processes.json").exists())
        client = json.loads((home / "client.json").read_text())
        self.url, self.key = client["url"], client["key"]

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", **headers}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            opened = urllib.request.urlopen(request, timeout=70)
        except urllib.error.HTTPError as refused:
            with refused:
                raise AssertionError(refused.read().decode()) from refused
        with opened as answer:
            content = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return json.loads(content) if content and is_json else content

    def put(self, path: str, content: bytes) -> None:
        self.call("PUT", path, content, **{"Content-Type": "application/octet-stream"})

    def get(self, path: str, **headers: str) -> bytes:
        """The bytes of an answer."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.key}", **headers})
        with urllib.request.urlopen(request, timeout=70) as answer:
            return bytes(answer.read())

    def refused(self, method: str, path: str, body: Any = None) -> Any:
        """The problem with which a call is refused."""
        try:
            said = self.call(method, path, body)
        except AssertionError as problem:
            return json.loads(str(problem))
        raise AssertionError(f"{method} {path} was not refused: {said}")

    def count_files(self, part: str) -> int:
        """Stored files with this folder in their path."""
        return sum(1 for path in (self.home / "storage").rglob("*") if path.is_file() and part in path.parts)

    def finish(self, job_id: str) -> Any:
        """The job, once it has ended."""
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            job = self.call("GET", f"/v1/jobs/{job_id}", Prefer="wait=10")
            if job["state"] in ("succeeded", "failed", "cancelled"):
                return job
        raise TimeoutError(f"{job_id} is still {job['state']}")

    def upload(self, name: str, content: str, **columns: Any) -> str:
        dataset = self.call("POST", "/v1/datasets", {"name": name, "columns": columns})
        octets = {"Content-Type": "application/octet-stream"}
        self.call("PUT", f"/v1/datasets/{dataset['id']}/files/table.csv", content.encode(), **octets)
        job = self.finish(self.call("POST", f"/v1/datasets/{dataset['id']}/commit")["id"])
        assert job["state"] == "succeeded", job["error"]
        return str(dataset["id"])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        if self.process.stdout is not None:
            self.process.stdout.close()


def wait(is_true: Callable[[], bool]) -> None:
    until = time.monotonic() + LIMIT_S
    while not is_true():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)
