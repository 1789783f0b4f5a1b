"""The web process as it is started: what becomes of its own child."""

import os
import subprocess
import sys
import time
import urllib.request

import psutil

from shared.settings import Settings
from shared.up import environment_of
from tests.ports import free_port
from tests.waiting import until


def test_a_killed_server_leaves_nobody_at_its_port(settings: Settings) -> None:
    port = free_port()
    environment = {**os.environ, **environment_of(settings), "ETUDE_PORT": str(port)}
    server = subprocess.Popen([sys.executable, "-m", "web.serve"], env=environment, stderr=subprocess.DEVNULL)
    until_ready(port)
    children = psutil.Process(server.pid).children(recursive=True)

    server.kill()
    server.wait()
    _, left = psutil.wait_procs(children, timeout=30)
    for child in left:
        child.kill()

    assert children and not left


def test_a_server_killed_while_its_child_begins_leaves_nobody_either(settings: Settings) -> None:
    environment = {**os.environ, **environment_of(settings), "ETUDE_PORT": str(free_port())}
    server = subprocess.Popen([sys.executable, "-m", "web.serve"], env=environment, stderr=subprocess.DEVNULL)
    watched = psutil.Process(server.pid)
    assert until(lambda: bool(watched.children()), every_s=0.001)
    children = watched.children()

    server.kill()
    server.wait()
    _, left = psutil.wait_procs(children, timeout=30)
    for child in left:
        child.kill()

    assert not left


def until_ready(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(port)
