"""The embedded mode's own secrets, made at the first start and kept under ETUDE_HOME where only its owner reads."""

import json
import os
import secrets
from pathlib import Path


def pepper(home: Path) -> str:
    """The secret that API keys are stored with; made once."""
    path = home / "secrets.json"
    if not path.exists():
        write_private(path, {"pepper": secrets.token_urlsafe(32)})
    return str(json.loads(path.read_text())["pepper"])


def pepper_there(home: Path) -> str:
    """The secret that the embedded mode has made here; nothing where it has not, and none is made."""
    path = home / "secrets.json"
    return str(json.loads(path.read_text())["pepper"]) if path.exists() else ""


def write_private(path: Path, content: dict[str, str]) -> None:
    """Write JSON with mode 600, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
