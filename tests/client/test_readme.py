"""The calls of the README, run as somebody who pastes them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.conftest import LIMIT_S


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with what the calls need: not every machine that runs tests has curl."""
    python = f'exec "{sys.executable}"'
    for name, said in (("python3", python), ("curl", f'{python} "{Path(__file__).parent / "curl.py"}"')):
        if shutil.which(name) is None:
            (tmp_path / name).write_text(f'#!/bin/sh\n{said} "$@"\n')
            (tmp_path / name).chmod(0o755)
    return f"{tmp_path}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_calls_lead_from_a_file_to_a_model(home: Path, songs: Path, path: str, page: str) -> None:
    blocks = re.findall(r"(?ms)^```\w*\n(.*?)^```$", Path(page).read_text())
    (found,) = (block for block in blocks if block.startswith("URL="))
    url = json.loads((home / "client.json").read_text())["url"]
    script = found.replace("http://127.0.0.1:8000", url).replace(".etude/client.json", str(home / "client.json"))

    ran = subprocess.run(
        ["bash", "-e", "-c", script], env={**os.environ, "PATH": path}, cwd=songs.parent, text=True,
        capture_output=True, timeout=LIMIT_S,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    last = json.loads(ran.stdout[ran.stdout.rindex('{"id":"job_') :])
    assert (last["action"], last["state"]) == ("train", "succeeded"), ran.stdout
