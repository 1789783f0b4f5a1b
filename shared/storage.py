"""Files: a local folder or S3, behind one set of verbs. Keys are computed here from ids; no request names one."""

import errno
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from shared.errors import Unavailable
from shared.settings import Settings

BLOCK_BYTES = 1024 * 1024
# S3 takes no part under 5 MiB but the last.
PART_BYTES = 8 * 1024 * 1024
# No space, none within the quota, none within the process's limit.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Stored:
    """What was written: its size and the SHA-256 of its bytes."""

    size_bytes: int
    sha256: str


def dataset_file(tenant: str, dataset: str, file_id: str) -> str:
    return f"t/{tenant}/datasets/{dataset}/files/{file_id}"


def dataset_folder(tenant: str, dataset: str) -> str:
    return f"t/{tenant}/datasets/{dataset}/"


def attempt_folder(tenant: str, job: str, fence: int) -> str:
    """Where one attempt writes, and no other: a superseded worker can harm nothing of its successor."""
    return f"t/{tenant}/jobs/{job}/{fence}/"


class Storage:
    """Reads and writes whole objects; an absent or full store becomes Unavailable."""

    def __init__(self, settings: Settings) -> None:
        url = settings.storage_url
        if url.startswith("file://"):
            folder = Path(url.removeprefix("file://"))
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store: LocalStore | S3Store = LocalStore(folder)
        else:
            # Region, endpoint and credentials come from AWS_* variables, as every S3 client takes them.
            self._store = S3Store.from_url(url)

    def put(self, key: str, blocks: Iterable[bytes]) -> Stored:
        """Write a stream; the object appears whole or not at all."""
        digest, size = hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for block in blocks:
                digest.update(block)
                size += len(block)
                yield block

        try:
            obstore.put(self._store, key, counted(), use_multipart=True, chunk_size=PART_BYTES)
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause
        return Stored(size, digest.hexdigest())

    def put_file(self, key: str, path: Path) -> Stored:
        with path.open("rb") as file:
            return self.put(key, iter(lambda: file.read(BLOCK_BYTES), b""))

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes of an object, or of a part of it, in blocks."""
        try:
            if length is not None:
                if length > 0:
                    yield bytes(obstore.get_range(self._store, key, start=start, length=length))
                return
            answer = obstore.get(self._store, key)
            for block in answer.stream(min_chunk_size=BLOCK_BYTES):
                yield bytes(block)
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause

    def get(self, key: str) -> bytes:
        return b"".join(self.stream(key))

    def fetch(self, key: str, path: Path) -> Path:
        """Copy an object to a local file."""
        with path.open("wb") as file:
            for block in self.stream(key):
                file.write(block)
        return path

    def exists(self, key: str) -> bool:
        try:
            obstore.head(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return False
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause
        return True

    def delete(self, key: str) -> None:
        """Delete one object; that it is gone already is as good."""
        try:
            obstore.delete(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause

    def keys(self, folder: str) -> list[str]:
        """The key of every object under a folder."""
        try:
            return [item["path"] for page in obstore.list(self._store, prefix=folder) for item in page]
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause

    def delete_folder(self, folder: str) -> int:
        """Delete everything under a folder; returns how many objects went."""
        keys = self.keys(folder)
        try:
            if keys:
                obstore.delete(self._store, keys)
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause
        return len(keys)

    def check(self) -> None:
        """Raise Unavailable unless the store answers."""
        self.exists("health")


def _away(cause: Exception) -> Unavailable:
    if any(f"(os error {number})" in str(cause) for number in FULL):
        return Unavailable("The storage is full: free some space, then send it again.", code="storage_full")
    if isinstance(cause, NotFoundError | FileNotFoundError):
        return Unavailable("A stored file is missing.", code="file_missing")
    return Unavailable("The storage is away: send the request again.", retry_after_s=5)
