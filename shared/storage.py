"""Files: sealed, in a local folder or S3, behind one set of verbs. Keys are computed from ids; no request names one.

A `key` here is where a file lies, as S3 has the word; the secret that opens it is shared/sealing's.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from shared.errors import Damaged, Unavailable
from shared.log import logger
from shared.objects import BLOCK_BYTES, FULL, Objects
from shared.sealing import key_rows
from shared.sealing.key_rows import Found, ObjectKey
from shared.sealing.key_store import KeyStore
from shared.sealing.segments import HEADER_BYTES, SEGMENT_BYTES, Opener, Tampered, seal
from shared.settings import Settings

__all__ = ["BLOCK_BYTES", "FULL", "Storage", "Stored", "attempt_folder", "dataset_file", "dataset_folder"]

# Says by which key store the files were sealed; outside of every tenant's folder.
CLAIM = "sealed-by"
# An upload may take long; a key whose file has not come by then was a crash's.
UNWRITTEN_S = 24 * 3600.0
# Whoever destroys a key deletes its file next.
DEAD_S = 60.0
SWEPT_AT_ONCE = 100

log = logger("storage")


@dataclass(frozen=True)
class Stored:
    """What was written, as it was before it was sealed: its size and the SHA-256 of its bytes."""

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
    """Reads and writes whole files. An absent or full store becomes Unavailable; a file that was changed, Damaged."""

    def __init__(self, settings: Settings, *, objects: Objects | None = None, keys: KeyStore | None = None) -> None:
        self.objects = objects or Objects(settings.storage_url)
        self._keys = keys or KeyStore(settings)

    def open_keys(self) -> KeyStore:
        """The key store. Raises Unavailable (`keys_wrong`) when it, or the root key, is not the one of these files."""
        if not self._keys.is_open:
            store = self._keys.open(lambda: [key for key in self.objects.list_keys() if key != CLAIM], self._read_claim)
            if self._read_claim() is None:
                self.objects.put(CLAIM, iter([store.encode()]))
        return self._keys

    def put(self, key: str, blocks: Iterable[bytes]) -> Stored:
        """Seal and write a stream; the file appears whole or not at all, and never without its key."""
        return self.put_all([(key, blocks)])[0]

    def put_all(self, files: Sequence[tuple[str, Iterable[bytes]]]) -> list[Stored]:
        """As `put`, of several, one after the other; their keys are made together, which takes as long as for one."""
        keys = self.open_keys()
        sealed_by = keys.make_all([key for key, _ in files])
        stored = [self._put(by, blocks) for by, (_, blocks) in zip(sealed_by, files, strict=True)]
        there = keys.say_all_written(sealed_by)
        if len(there) < len(sealed_by):
            # Erased while they were written; or so late that they were taken for a crash's.
            self.objects.delete([by.place for by in sealed_by if by not in there])
            raise Unavailable("The file was erased while it was written.", code="file_missing")
        return stored

    def _put(self, by: ObjectKey, blocks: Iterable[bytes]) -> Stored:
        digest, size = hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for block in blocks:
                digest.update(block)
                size += len(block)
                yield block

        self.objects.put(by.place, seal(by.secret, by.bound, counted()))
        return Stored(size, digest.hexdigest())

    def put_file(self, key: str, path: Path) -> Stored:
        with path.open("rb") as file:
            return self.put(key, iter(lambda: file.read(BLOCK_BYTES), b""))

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes of a file, or of a part of it, in blocks; each was verified before it is given."""
        if length == 0:
            return
        try:
            found = self._find(key)
            sealed_by = self._current(key, found)
            if sealed_by is None:
                yield from self._plain(key, start, length)
            elif length is None and start == 0:
                yield from self._whole(sealed_by)
            else:
                yield from self._part(sealed_by, start, length)
        except Tampered as cause:
            log.error("file_damaged", key=key)
            raise Damaged(f"The stored file {key.rpartition('/')[2]} is not what was sealed: restore it.") from cause

    def get(self, key: str) -> bytes:
        return b"".join(self.stream(key))

    def fetch(self, key: str, path: Path) -> Path:
        """Copy a file to a local one."""
        with path.open("wb") as file:
            for block in self.stream(key):
                file.write(block)
        return path

    def fetch_sealed(self, key: str, path: Path) -> Path:
        """Copy a file to a local one as it lies."""
        with path.open("wb") as file:
            for block in self.objects.stream(key)[1]:
                file.write(block)
        return path

    def put_sealed(self, key: str, path: Path) -> None:
        """Write a file that was sealed for this very place, and whose key is there."""
        with path.open("rb") as file:
            self.objects.put(key, iter(lambda: file.read(BLOCK_BYTES), b""))

    def exists(self, key: str) -> bool:
        return self.objects.exists(key)

    def delete(self, key: str) -> None:
        """Destroy the key of one file, then delete it; that it is gone already is as good."""
        keys = self.open_keys()
        keys.destroy(key)
        self.objects.delete([key])
        keys.forget(key)

    def keys(self, folder: str) -> list[str]:
        """The key of every file under a folder."""
        return self.objects.list_keys(folder)

    def delete_folder(self, folder: str) -> int:
        """Destroy the keys of everything under a folder, then delete it; returns how many files went."""
        keys = self.open_keys()
        keys.destroy(folder.rstrip("/") + "/")
        there = self.keys(folder)
        self.objects.delete(there)
        keys.forget(folder.rstrip("/") + "/")
        return len(there)

    def check(self) -> None:
        """Raise Unavailable unless the store and its keys answer."""
        self.exists("health")
        self.open_keys().find("health")

    def seal(self, key: str) -> bool:
        """Seal a file that still lies open; again does no harm. False when it is gone."""
        try:
            return self._seal_anew(key)
        except Unavailable as gone:
            if gone.code != "file_missing":
                raise
            self.delete(key)
            return False

    def _seal_anew(self, key: str) -> bool:
        keys = self.open_keys()
        found = keys.find(key)
        if not found.is_plain:
            return found.key is not None
        if found.key is not None and self.is_sealed(found.key):
            return keys.say_written(found.key)
        # Read by another thread: a store that takes a stream drives this one, and cannot be asked meanwhile.
        with ThreadPoolExecutor(1) as reader:
            blocks = map(bytes, self.objects.stream(key)[1])
            self.put(key, iter(lambda: reader.submit(next, blocks, b"").result(), b""))
        return True

    def sweep(self) -> None:
        """Finish what crashes have left: files of destroyed keys, keys whose files never came."""
        keys = self.open_keys()
        with keys.reading() as sql:
            dead = key_rows.list_dead(sql, after_s=DEAD_S, at_most=SWEPT_AT_ONCE)
            unwritten = key_rows.list_unwritten(sql, after_s=UNWRITTEN_S, at_most=SWEPT_AT_ONCE)
        for key in dead:
            self.objects.delete([key])
            keys.forget(key)
        for key in unwritten:
            self._settle(keys, key)

    def _settle(self, keys: KeyStore, key: str) -> None:
        try:
            found = keys.find(key)
        except Damaged:
            # Told in the log; whoever reads it is told, too.
            return
        if found.is_plain:
            return
        if found.key is not None and self.exists(key):
            keys.say_written(found.key)
        else:
            keys.destroy(key)

    def _find(self, key: str) -> Found:
        """Raises Tampered for a file that has no key and was not there before everything was sealed."""
        found = self.open_keys().find(key)
        if found.is_destroyed:
            raise Unavailable("A stored file is missing.", code="file_missing")
        if found.key is None and not found.is_plain:
            # Missing, which is said; or planted.
            self.objects.size(key)
            raise Tampered
        return found

    def _current(self, key: str, found: Found) -> ObjectKey | None:
        """The key that opens what lies there now; None for what is not sealed yet."""
        if not found.is_plain or found.key is None:
            return found.key
        # Somebody is sealing it at this moment, or died doing so.
        return found.key if self.is_sealed(found.key) else None

    def is_sealed(self, by: ObjectKey) -> bool:
        """Whether what lies at a place begins as something that was sealed with this key."""
        try:
            opener = self._opener(by)
            end = min(SEGMENT_BYTES, self.objects.size(by.place))
            return any(True for _ in opener.open(self.objects.read(by.place, HEADER_BYTES, end), first=0, after=1))
        except Tampered:
            return False

    def _whole(self, sealed_by: ObjectKey) -> Iterator[bytes]:
        size, blocks = self.objects.stream(sealed_by.place)
        header = b""
        while len(header) < HEADER_BYTES and (block := next(blocks, None)) is not None:
            header += block
        opener = Opener(sealed_by.secret, sealed_by.bound, header=header[:HEADER_BYTES], size=size)
        rest = memoryview(header)[HEADER_BYTES:]
        yield from opener.open(chain([rest], blocks), first=0, after=opener.count)

    def _part(self, sealed_by: ObjectKey, start: int, length: int | None) -> Iterator[bytes]:
        opener = self._opener(sealed_by)
        left = opener.plain_bytes - start if length is None else min(length, opener.plain_bytes - start)
        if left <= 0:
            return
        span = opener.span(start, left)
        skipped = span.skipped
        blocks = self.objects.read(sealed_by.place, span.start, span.end)
        for block in opener.open(blocks, first=span.first, after=span.after):
            wanted = block[skipped : skipped + left]
            left, skipped = left - len(wanted), 0
            yield wanted

    def _opener(self, sealed_by: ObjectKey) -> Opener:
        size = self.objects.size(sealed_by.place)
        header = b"".join(self.objects.read(sealed_by.place, 0, min(HEADER_BYTES, size)))
        return Opener(sealed_by.secret, sealed_by.bound, header=header, size=size)

    def _plain(self, key: str, start: int, length: int | None) -> Iterator[bytes]:
        if length is None and start == 0:
            yield from map(bytes, self.objects.stream(key)[1])
        else:
            size = self.objects.size(key)
            yield from map(bytes, self.objects.read(key, start, size if length is None else min(start + length, size)))

    def _read_claim(self) -> str | None:
        if not self.objects.exists(CLAIM):
            return None
        return b"".join(map(bytes, self.objects.stream(CLAIM)[1])).decode(errors="replace")
