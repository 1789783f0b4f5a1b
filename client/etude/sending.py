"""Many files to one dataset: a few at a time, one count of bytes, and a file that fails says which it is."""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

from etude.choice import Source
from etude.errors import EtudeError, Refused, Unreachable
from etude.transport import Progress, Transport

BLOCK_BYTES = 1024 * 1024
# Small files spend their time waiting for answers; more than a few at once only press on the service.
AT_ONCE = 4

Told = Callable[[int], None]


def send(transport: Transport, dataset_id: str, sources: Sequence[Source], progress: Progress) -> None:
    """Put every file. The first that fails ends the sending and is raised, with the file's name."""
    count = _Count(sources, progress)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload") as pool:
        under_way = [
            pool.submit(_put, transport, dataset_id, source, partial(count.told, place))
            for place, source in enumerate(sources)
        ]
        try:
            for sent in as_completed(under_way):
                sent.result()
        except BaseException:
            count.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Count:
    """The bytes of all files together; a file that is sent again counts once."""

    def __init__(self, sources: Sequence[Source], progress: Progress) -> None:
        self._progress, self._total = progress, sum(source.size_bytes for source in sources)
        self._of = [0] * len(sources)
        self._done = 0
        self._lock, self._is_stopped = threading.Lock(), False

    def told(self, place: int, done: int) -> None:
        if self._is_stopped:
            raise EtudeError("Another file failed.")
        with self._lock:
            self._done += done - self._of[place]
            self._of[place] = done
            self._progress(self._done, self._total)

    def stop(self) -> None:
        self._is_stopped = True


def _put(transport: Transport, dataset_id: str, source: Source, told: Told) -> None:
    with _named(source.name):
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(source.size_bytes),
            "Content-Digest": digest(source.path),
        }
        # Each part by itself: what is in a name must not become a part of the address.
        name = "/".join(quote(part, safe="") for part in source.name.split("/"))
        address = f"/v1/datasets/{dataset_id}/files/{name}"
        transport.upload(address, lambda: blocks(source, told), headers=headers)


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise Refused(refused.status, {**refused.problem, "detail": f"{name}: {refused}"}) from refused
    except Unreachable as away:
        raise Unreachable(f"{name} was not sent. {away}") from away


def digest(path: Path) -> str:
    """The Content-Digest (RFC 9530) of a file."""
    with _reading(path), path.open("rb") as file:
        return f"sha-256=:{base64.b64encode(hashlib.file_digest(file, 'sha256').digest()).decode()}:"


def blocks(source: Source, told: Told) -> Iterator[bytes]:
    """A file in blocks; `told` hears how many bytes have gone."""
    done = 0
    with _reading(source.path), source.path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            done += len(block)
            if done > source.size_bytes:
                break
            yield block
            told(done)
    if done != source.size_bytes:
        raise EtudeError(f"{source.path} changes while it is sent: try again when it is whole.")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    # A failing disk is not a failing network, after which the transport would try again.
    try:
        yield
    except OSError as cause:
        raise EtudeError(f"{path} cannot be read: {cause.strerror or cause}.") from cause
