"""Bytes as they lie in a local folder or in S3, behind one set of verbs; what they mean is shared/storage.py's."""

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from shared.errors import Unavailable

if TYPE_CHECKING:
    # There for type checkers alone.
    from obstore import BytesStream

# S3 takes no part under 5 MiB but the last.
PART_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024
# No space, none within the quota, none within the process's limit.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Objects:
    """Whole objects; an absent or full store becomes Unavailable."""

    def __init__(self, url: str) -> None:
        if url.startswith("file://"):
            folder = Path(url.removeprefix("file://"))
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store: LocalStore | S3Store = LocalStore(folder)
        else:
            # Region, endpoint and credentials come from AWS_* variables, as every S3 client takes them.
            self._store = S3Store.from_url(url)

    def put(self, key: str, blocks: Iterator[bytes]) -> None:
        """Write a stream; the object appears whole or not at all."""
        try:
            obstore.put(self._store, key, blocks, use_multipart=True, chunk_size=PART_BYTES)
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause

    def stream(self, key: str) -> tuple[int, Iterator[memoryview]]:
        """The size of an object, and its bytes of one moment in blocks."""
        try:
            answer = obstore.get(self._store, key)
            return answer.meta["size"], _translated(answer.stream(min_chunk_size=BLOCK_BYTES))
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause

    def read(self, key: str, start: int, end: int) -> Iterator[memoryview]:
        """The bytes from `start` to before `end`, a bounded number at a time."""
        try:
            for place in range(start, end, PART_BYTES):
                yield memoryview(obstore.get_range(self._store, key, start=place, end=min(place + PART_BYTES, end)))
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause

    def size(self, key: str) -> int:
        try:
            return int(obstore.head(self._store, key)["size"])
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause

    def exists(self, key: str) -> bool:
        try:
            obstore.head(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return False
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause
        return True

    def delete(self, keys: Sequence[str]) -> None:
        """Delete these; that one is gone already is as good."""
        try:
            if keys:
                obstore.delete(self._store, keys)
        except (NotFoundError, FileNotFoundError):
            # The others may be there still.
            for key in keys if len(keys) > 1 else ():
                self.delete([key])
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause

    def list_keys(self, folder: str | None = None) -> list[str]:
        """The key of every object, or of every one under a folder."""
        try:
            return [item["path"] for page in obstore.list(self._store, prefix=folder) for item in page]
        except (BaseError, OSError) as cause:
            raise _away(cause) from cause


def _translated(blocks: "BytesStream") -> Iterator[memoryview]:
    try:
        for block in blocks:
            yield memoryview(block)
    except (BaseError, OSError) as cause:
        raise _away(cause) from cause


def _away(cause: Exception) -> Unavailable:
    if any(f"(os error {number})" in str(cause) for number in FULL):
        return Unavailable("The storage is full: free some space, then send it again.", code="storage_full")
    if isinstance(cause, NotFoundError | FileNotFoundError):
        return Unavailable("A stored file is missing.", code="file_missing")
    return Unavailable("The storage is away: send the request again.", retry_after_s=5)
