"""The calls of the README, run as somebody who pastes them."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.client.conftest import LIMIT_S


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_calls_lead_from_a_file_to_a_model(home: Path, songs: Path, page: str) -> None:
    blocks = re.findall(r"(?ms)^```\w*\n(.*?)^```$", Path(page).read_text())
    (found,) = (block for block in blocks if block.startswith("URL="))
    url = json.loads((home / "client.json").read_text())["url"]
    script = found.replace("http://127.0.0.1:8000", url).replace(".etude/client.json", str(home / "client.json"))

    ran = subprocess.run(
        ["bash", "-e", "-c", script], cwd=songs.parent, text=True, capture_output=True, timeout=LIMIT_S
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    last = json.loads(ran.stdout[ran.stdout.rindex('{"id":"job_') :])
    assert (last["action"], last["state"]) == ("train", "succeeded"), ran.stdout
