"""`python -m shared.sealing seal`, `… rotate --root`, `… rotate --tenant ID`: see docs/operations.md."""

import argparse
import sys
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from shared import settings
from shared.backup import progress
from shared.database import Database
from shared.errors import EtudeError
from shared.sealing import old_cells, old_files, old_hashes, rotating
from shared.sealing.key_store import KeyStore
from shared.storage import Storage
from shared.tenancy import EVERYONE

ALL = "all"


class Refused(SystemExit):
    """Stops the command with a sentence that tells what to do, and status 1."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m shared.sealing", description="Seal what still lies open; wrap the keys with newer ones."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("seal", help="seal the files and rows from before everything was sealed")
    rotate = commands.add_parser("rotate", help="wrap keys with newer keys; no file is touched")
    which = rotate.add_mutually_exclusive_group(required=True)
    which.add_argument("--root", action="store_true", help="with the first of the root keys that are given")
    which.add_argument("--tenant", metavar="ID", help=f"with a new key of this tenant's, or of `{ALL}`")
    arguments = parser.parse_args()
    try:
        print(_run(arguments))  # noqa: T201
    except EtudeError as error:
        raise Refused(error.detail) from error
    except DBAPIError as cause:
        raise Refused(f"The key store refused: {cause.orig}") from cause


def _run(arguments: argparse.Namespace) -> str:
    chosen = settings.read()
    storage = Storage(chosen)
    keys = storage.open_keys()
    if arguments.command == "seal":
        # An operator seals what lies open, whosever it is.
        database = Database(chosen, whose=EVERYONE, erases=True)
        try:
            return _seal(storage, keys, database)
        finally:
            database.close()
    if arguments.root:
        return _rotate_root(keys)
    return _rotate_tenants(keys, arguments.tenant)


def _seal(storage: Storage, keys: KeyStore, database: Database) -> str:
    done = sum(1 for _ in progress.shown("sealed", old_files.seal_all(storage), old_files.count(keys)))
    rows = sum(1 for _ in progress.shown("sealed", old_cells.seal_all(database), old_cells.count(database)))
    rows += sum(1 for _ in progress.shown("keyed", old_hashes.key_all(database), old_hashes.count(database)))
    left = old_files.count(keys) + old_cells.count(database) + old_hashes.count(database)
    more = " Say it again." if left else ""
    return f"{done:,} files and {rows:,} rows are sealed; {left:,} still lie open.{more}"


def _rotate_root(keys: KeyStore) -> str:
    count = rotating.rotate_root(keys, _tell("keys of tenants"))
    others = ", ".join(list(keys.roots.by_id)[1:])
    more = f" Nothing needs {others} any more but the backups of before: take it out of the settings." if others else ""
    return f"{count:,} keys of tenants were wrapped anew; all are wrapped with the root key {keys.roots.primary}.{more}"


def _rotate_tenants(keys: KeyStore, wanted: str) -> str:
    known = rotating.list_tenants(keys)
    if wanted not in (ALL, *known):
        raise Refused(f"No tenant {wanted} has a key.")
    chosen = known if wanted == ALL else [wanted]
    count = sum(rotating.rotate_tenant(keys, tenant, _tell(f"keys of {tenant}")) for tenant in chosen)
    return f"{count:,} keys of files were wrapped anew, of {len(chosen):,} tenants."


def _tell(what: str) -> Callable[[int], object]:
    if not sys.stderr.isatty():
        return lambda count: None
    return lambda count: sys.stderr.write(f"\r{count:,} {what}")


if __name__ == "__main__":
    main()
