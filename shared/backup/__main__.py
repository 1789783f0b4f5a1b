"""`python -m shared.backup save FOLDER`, `… restore FOLDER`: see docs/operations.md."""

import argparse
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from shared import settings
from shared.backup import Refused, keys
from shared.backup.manifest import Manifest
from shared.backup.restoring import restore
from shared.backup.saving import save
from shared.errors import Unavailable

KEEP = (
    "The pepper and the root key are not in it, and without them nothing opens anything: keep secrets.json and "
    "root.key, or your .env, apart from it. The keys of its files are in {keys}: keep these copies for a shorter time."
)
PUT_BACK = (
    "Before you start Etude, give it the pepper and the root key of then: secrets.json and root.key under ETUDE_HOME, "
    "or ETUDE_PEPPER and ETUDE_ROOT_KEY."
)
ERASED = "{count:,} files are not restored: they were swept before they were saved, or their keys are destroyed."


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m shared.backup",
        description="Copy the database and the storage into a folder, or put them back into empty ones.",
    )
    parser.add_argument("command", choices=["save", "restore"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keys", type=Path, help="the folder of the files' keys; FOLDER-keys unless it is said")
    arguments = parser.parse_args()
    try:
        print(_run(arguments.command, arguments.folder, arguments.keys))  # noqa: T201
    except Unavailable as away:
        raise Refused(away.detail) from away
    except DBAPIError as cause:
        raise Refused(f"The database refused: {cause.orig}") from cause
    except OSError as cause:
        raise Refused(str(cause)) from cause


def _run(command: str, folder: Path, keys_folder: Path | None) -> str:
    chosen = settings.read()
    if command == "save":
        said = _said(save(chosen, folder, keys_folder=keys_folder))
        return f"{said} are saved in {folder}.\n{KEEP.format(keys=keys_folder or keys.beside(folder))}"
    restored = restore(chosen, folder, keys_folder=keys_folder)
    erased = [ERASED.format(count=len(restored.gone))] if restored.gone else []
    return "\n".join([f"{_said(restored)} are restored from {folder}.", *erased, PUT_BACK])


def _said(saved: Manifest) -> str:
    return f"{sum(saved.rows.values()):,} rows and {saved.files:,} files ({saved.bytes:,} bytes) as of {saved.taken_at}"


if __name__ == "__main__":
    main()
