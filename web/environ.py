"""A request as granian tells it, turned into the environment that a WSGI application reads (PEP 3333)."""

import re
import sys
from typing import Any

from granian.rsgi import Scope

from shared.errors import BadRequest

Environ = dict[str, Any]
UNREADABLE = "\xff"
# In the environment, once it is known: which route it was, as it is declared; which tenant's key came with it; where
# what the request made can be found.
ROUTE, TENANT, LOCATION = "etude.route", "etude.tenant", "etude.location"

# A name or an address, and perhaps a port: once, or two readers would each take another one.
HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")

CONSTANT: Environ = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "granian",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": False,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}
# The two that stand without a prefix, and those that every request brings.
KNOWN = {
    "content-type": "CONTENT_TYPE",
    "content-length": "CONTENT_LENGTH",
    **{name: f"HTTP_{name.upper().replace('-', '_')}" for name in ("host", "authorization", "user-agent", "accept")},
}


def environ_of(scope: Scope) -> Environ:
    """Everything but `wsgi.input`. A header that is there twice is joined, as HTTP means it."""
    host, _, port = scope.server.rpartition(":")
    environ = {
        **CONSTANT,
        "REQUEST_METHOD": scope.method,
        # granian has decoded the path; PEP 3333 wants its bytes as Latin-1.
        "PATH_INFO": scope.path.encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope.query_string.encode("utf-8", "surrogateescape").decode("latin-1"),
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "wsgi.url_scheme": scope.scheme,
    }
    for name, value in scope.headers.items():
        key = _key(name)
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    # granian leaves out values beyond ASCII; a header that means something shall be refused then, not overlooked.
    for name in scope.headers.keys():  # noqa: SIM118 — it is no dictionary
        environ.setdefault(_key(name), UNREADABLE)
    return environ


def demand_host(environ: Environ) -> None:
    """Raise BadRequest where HTTP/1.1 has no Host, or there are two, or it is none (RFC 9112, section 3.2)."""
    host = environ.get("HTTP_HOST", "")
    is_needed = environ["SERVER_PROTOCOL"] == "HTTP/1.1" or host
    if is_needed and not HOST.fullmatch(host):
        raise BadRequest("Host: expected the name or the address of this server, once.")


def closing(environ: Environ) -> list[tuple[str, str]]:
    """The header that ends the connection after a body in chunks.

    If Content-Length was there as well, whoever stands between may have seen another end of it, and take what follows
    for another client's request (RFC 9112, section 6.1). granian does not tell whether it was.
    """
    is_chunked = "HTTP_TRANSFER_ENCODING" in environ and environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
    return [("connection", "close")] if is_chunked else []


def _key(name: str) -> str:
    return KNOWN.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
