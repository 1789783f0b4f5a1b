"""A wire between a worker and PostgreSQL, to be cut in the middle of the one transaction that has an effect."""

import select
import socket
import threading
from contextlib import suppress

from sqlalchemy import URL, make_url

from shared.tables import versions

BLOCK = 65_536
PUBLISHING = f"INSERT INTO {versions.name}".encode()


class Wire:
    """Carries bytes both ways, until the COMMIT of the first transaction that makes a model version.

    That COMMIT is lost with the connection; or, with `is_delivered`, the server's answer to it is.
    """

    def __init__(self, database_url: str, *, is_delivered: bool) -> None:
        self.is_cut = threading.Event()
        self._is_delivered = is_delivered
        self._behind = make_url(database_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def database_url(self) -> str:
        """The same database at this end of the wire."""
        before = self._behind.set(host="127.0.0.1", port=self._listener.getsockname()[1], query={})
        return before.render_as_string(hide_password=False)

    def close(self) -> None:
        # Closing alone would leave the thread in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                worker, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(worker,), daemon=True).start()

    def _carry(self, worker: socket.socket) -> None:
        is_publishing = False
        with suppress(OSError), worker, _reach(self._behind) as server:
            while True:
                for end in select.select([worker, server], [], [])[0]:
                    block = end.recv(BLOCK)
                    if not block:
                        return
                    is_publishing |= end is worker and PUBLISHING in block
                    if is_publishing and b"COMMIT" in block and not self.is_cut.is_set():
                        return self._cut(server, block)
                    (server if end is worker else worker).sendall(block)

    def _cut(self, server: socket.socket, commit: bytes) -> None:
        self.is_cut.set()
        if self._is_delivered:
            server.sendall(commit)
            server.recv(BLOCK)


def _reach(behind: URL) -> socket.socket:
    folder = behind.query.get("host")
    if folder is None:
        return socket.create_connection((behind.host or "127.0.0.1", behind.port or 5432))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{folder}/.s.PGSQL.{behind.port or 5432}")
    return server
