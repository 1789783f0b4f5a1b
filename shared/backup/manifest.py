"""manifest.json: what a backup holds. Written last, whole or not at all: it makes a folder a backup."""

import json
import os
from pathlib import Path

from pydantic import ValidationError

from shared.backup import MANIFEST, Refused
from shared.schema import Closed, Int

# Of files as they lie, sealed; in the first they lay open.
FORMAT = 2
READ = (1, 2)


class Manifest(Closed):
    """Of which moment and revision a backup is, and what is in it."""

    format: Int
    revision: str
    # By the clock of the database that was copied.
    taken_at: str
    # Of the file etude.db; those of the stored files are in its rows.
    sha256: str
    rows: dict[str, Int]
    files: Int
    bytes: Int
    # The key store whose keys open the files; None of the first format.
    sealed_by: str | None = None
    # Checkpoints that were swept before they were copied, for their jobs had ended: these jobs begin again.
    gone: list[str]


def write(folder: Path, manifest: Manifest) -> None:
    # What it vouches for lies on the disk before it does.
    os.sync()
    draft = folder / f"{MANIFEST}.draft"
    with draft.open("w") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / MANIFEST)


def read(folder: Path) -> Manifest:
    """Raises Refused when there is none, or none that this version can read."""
    path = folder / MANIFEST
    if not path.is_file():
        raise Refused(f"There is no {MANIFEST} in {folder}: this is no backup, or one that was never finished.")
    text = path.read_bytes()
    _demand_format(text, path)
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as cause:
        raise Refused(f"{path} is damaged: {cause}") from cause


def _demand_format(text: bytes, path: Path) -> None:
    try:
        found = json.loads(text)["format"]
    except (ValueError, TypeError, KeyError) as cause:
        raise Refused(f"{path} is damaged: it is no JSON object with a format.") from cause
    if found not in READ:
        raise Refused(f"{path} has format {found}; this version reads format {FORMAT}: use the Etude that made it.")
