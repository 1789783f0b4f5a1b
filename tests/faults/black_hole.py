"""A proxy before a server's socket that can swallow everything: no byte passes, and no end is told."""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path


class BlackHole:
    """Listens on a socket of its own; connections made after `swallow` work again."""

    def __init__(self, path: Path, to: Path) -> None:
        self.path, self._to = path, to
        self._swallowed = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._begin(self._accept)

    def swallow(self) -> None:
        """What is connected now stays connected, and hears nothing any more."""
        self._swallowed.set()
        self._swallowed = threading.Event()

    def close(self) -> None:
        """End every connection, and wait for the threads."""
        # Closing alone would leave them in accept and recv.
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._open):
            each.close()

    def _begin(self, target: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                self._open += [near, far]
                far.connect(str(self._to))
                self._begin(_pass_on, near, far, self._swallowed)
                self._begin(_pass_on, far, near, self._swallowed)


def _pass_on(source: socket.socket, target: socket.socket, swallowed: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(65_536):
            if not swallowed.is_set():
                target.sendall(block)
        if not swallowed.is_set():
            target.shutdown(socket.SHUT_RDWR)
