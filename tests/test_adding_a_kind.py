"""The worked example of docs/adding-a-kind.md is a kind: copied out of the page, it keeps every promise of one."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_example_of_the_page_passes_the_conformance_test(tmp_path: Path) -> None:
    for folder in ("migrations", "shared", "tests", "web", "worker"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    page = (ROOT / "docs/adding-a-kind.md").read_text()
    files = re.findall(r"(?s)```python (\S+)\n(.*?)```", page)
    for name, text in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    tried = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/worker/kinds/test_conformance.py", "-q", "-k", "rating or folder"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    strict = subprocess.run(
        [sys.executable, "-m", "mypy", *(name for name, _ in files)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert len(files) == 6
    assert tried.returncode == 0, tried.stdout
    assert strict.returncode == 0, strict.stdout
    assert re.search(r"\b1[0-9] passed", tried.stdout), tried.stdout
