"""Yesterday's backup, put back beside the keys of today."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from shared.backup.restoring import restore
from shared.errors import Damaged, Unavailable
from shared.settings import Settings
from shared.storage import Storage


@dataclass(frozen=True)
class Restored:
    """The files of a backup: what was told to be gone, what opens, and what nothing opens any more."""

    home: Path
    gone: list[str]
    opened: dict[str, bytes]
    shut: list[str]


def everything(storage: Storage) -> bytes:
    """All that can be read of what lies there."""
    return b"".join(storage.get(key) for key in storage.keys("t/"))


def read(settings: Settings, backup: Path, home: Path) -> Restored:
    """Restore a backup with the keys of today, and try to read every file of it."""
    chosen = replace(
        settings, home=home, database_url=f"sqlite:///{home}/etude.db", storage_url=f"file://{home}/storage"
    )
    gone = list(restore(chosen, backup).gone)
    # Who has the backup has all of its files, and not those alone that a restore puts back.
    shutil.copytree(backup / "storage", home / "storage", dirs_exist_ok=True)
    files, opened, shut = Storage(chosen), {}, []
    for key in files.keys("t/"):
        try:
            opened[key] = files.get(key)
        except (Damaged, Unavailable):
            shut.append(key)
    return Restored(home, gone, opened, shut)
