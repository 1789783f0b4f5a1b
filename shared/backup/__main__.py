"""`python -m shared.backup save FOLDER`, `… restore FOLDER`: see docs/operations.md."""

import argparse
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from shared import settings
from shared.backup import Refused
from shared.backup.manifest import Manifest
from shared.backup.restoring import restore
from shared.backup.saving import save
from shared.errors import Unavailable

KEEP = "The pepper is not in it, and without it no key opens anything: keep secrets.json or your .env apart from it."
PUT_BACK = "Before you start Etude, give it the pepper of then: secrets.json under ETUDE_HOME, or ETUDE_PEPPER."


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m shared.backup",
        description="Copy the database and the storage into a folder, or put them back into empty ones.",
    )
    parser.add_argument("command", choices=["save", "restore"])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    try:
        print(_run(arguments.command, arguments.folder))  # noqa: T201
    except Unavailable as away:
        raise Refused(away.detail) from away
    except DBAPIError as cause:
        raise Refused(f"The database refused: {cause.orig}") from cause
    except OSError as cause:
        raise Refused(str(cause)) from cause


def _run(command: str, folder: Path) -> str:
    chosen = settings.read()
    if command == "save":
        return f"{_said(save(chosen, folder))} are saved in {folder}.\n{KEEP}"
    return f"{_said(restore(chosen, folder))} are restored from {folder}.\n{PUT_BACK}"


def _said(saved: Manifest) -> str:
    return f"{sum(saved.rows.values()):,} rows and {saved.files:,} files ({saved.bytes:,} bytes) as of {saved.taken_at}"


if __name__ == "__main__":
    main()
