"""Datasets as a client sees them: immutable once ready."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BLOCK_BYTES = 1024 * 1024

Json = dict[str, Any]
Progress = Callable[[int, int], None]


class Dataset:
    """One version of a dataset."""

    def __init__(self, raw: Json) -> None:
        self.raw = raw
        self.id: str = raw["id"]
        self.name: str = raw["name"]
        self.version: int = raw["version"]
        self.reference: str = raw["reference"]
        self.state: str = raw["state"]
        self.profile: Json = raw["profile"] or {}

    def __repr__(self) -> str:
        return f"<Dataset {self.reference} {self.state}>"

    @property
    def target(self) -> list[str]:
        """The columns to be learned, named or inferred."""
        return list(self.profile.get("roles", {}).get("target", ()))

    @property
    def kind(self) -> str:
        """The kind of learning that fits the target: classes for text and few whole numbers, else regression."""
        columns = {column["name"]: column for column in self.profile.get("columns", ())}
        for column in (columns[name] for name in self.target if name in columns):
            if column["type"] == "number" or (column["type"] == "integer" and column["distinct"] > 20):
                return "regression"
        return "classification"


def digest(path: Path) -> str:
    """The Content-Digest (RFC 9530) of a file."""
    with path.open("rb") as file:
        return f"sha-256=:{base64.b64encode(hashlib.file_digest(file, 'sha256').digest()).decode()}:"


def blocks(path: Path, told: Callable[[int], None]) -> Iterator[bytes]:
    """A file in blocks; `told` hears how many bytes have gone."""
    done = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block
            done += len(block)
            told(done)
