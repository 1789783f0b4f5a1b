"""The files that a job made, out of the archive in which they come: the names in it are checked, whoever wrote them."""

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from etude.errors import EtudeError

BLOCK_BYTES = 1024 * 1024
NAME_BYTES = 255
# What some system reads as a path, a drive or a device of its own.
UNFIT = '/\\:*?"<>|'
STORED_ONLY = "expected an archive of stored files"


def unpack(archive: IO[bytes], folder: Path) -> list[Path]:
    """Write every file of the archive into the folder, each at once when it is whole. Raises EtudeError.

    Nothing is written unless every name is a plain one. Files are stored and not compressed, so that what is written
    is never larger than what was sent.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _check(entries)
            folder.mkdir(parents=True, exist_ok=True)
            return [_write(opened, entry, folder / entry.filename) for entry in entries]
    # The second is what zipfile says of a compression that it does not know.
    except (zipfile.BadZipFile, NotImplementedError) as cause:
        raise EtudeError(f"The service sent an archive that cannot be read: {cause}.") from cause


def _check(entries: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if not _is_plain(entry.filename) or entry.filename.casefold() in seen:
            raise EtudeError(f"The service names a file {entry.filename!r}, which is not written anywhere.")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise EtudeError(f"The service sent {entry.filename} compressed: {STORED_ONLY}.")
        seen.add(entry.filename.casefold())


def _is_plain(name: str) -> bool:
    return (
        0 < len(name.encode("utf-8", "replace")) <= NAME_BYTES
        and name.isprintable()
        and not any(sign in UNFIT for sign in name)
        and not name.startswith(".")
        and not name.endswith((".", " "))
    )


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> Path:
    with opened.open(entry) as source, appearing(path) as file:
        while block := source.read(BLOCK_BYTES):
            file.write(block)
    return path


@contextmanager
def appearing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that appears under its name once it is whole, in the place of one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".etude-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        # mkstemp makes private files; this one is the user's own, like any other that they write.
        os.chmod(draft, 0o666 & ~_umask())  # noqa: PTH101
        os.replace(draft, path)  # noqa: PTH105
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
