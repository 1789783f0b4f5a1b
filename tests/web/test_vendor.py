"""The files of others that we serve are the ones that were looked at, with a licence that allows it."""

import hashlib
import json
from pathlib import Path

VENDOR = Path("web/static/vendor")


def test_every_vendored_file_is_listed_with_its_licence_and_is_unchanged() -> None:
    listed = json.loads((VENDOR / "VENDOR.json").read_text())

    assert {entry["file"] for entry in listed} == {path.name for path in VENDOR.iterdir()} - {"VENDOR.json"}
    for entry in listed:
        assert hashlib.sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
        assert entry["licence"] in ("Apache-2.0", "MIT", "BSD-3-Clause", "0BSD")
