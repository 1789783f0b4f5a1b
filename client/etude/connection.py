"""Where the service is, and with which key: arguments, variables, or the file that the service wrote."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from etude.errors import NotConfigured

FILE = "client.json"


@dataclass(frozen=True)
class Connection:
    """An address and the key for it."""

    url: str
    key: str = field(repr=False)


def find(url: str | None, key: str | None, *, environment: Mapping[str, str] | None = None) -> Connection:
    """Arguments, then ETUDE_URL and ETUDE_KEY, then client.json. Raises NotConfigured."""
    known = os.environ if environment is None else environment
    url, key = url or known.get("ETUDE_URL"), key or known.get("ETUDE_KEY")
    if not url or not key:
        written = next((path for path in _places(known) if path.is_file()), None)
        if written is None:
            raise NotConfigured(
                "No Etude was found: start one with `make up`, or set ETUDE_URL and ETUDE_KEY, or run this where"
                " .etude/client.json lies."
            )
        url, key = _fill(written, url, key)
    return Connection(_checked(url).rstrip("/"), key)


def _checked(url: str) -> str:
    """Asked of before anything is sent: an address without its scheme would be one that nobody answers at."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        said = "expected the address of the service, such as http://127.0.0.1:8000"
        raise NotConfigured(f"{said}, received {url!r}: see ETUDE_URL.")
    return url


def _places(environment: Mapping[str, str]) -> Iterator[Path]:
    if home := environment.get("ETUDE_HOME"):
        yield Path(home) / FILE
        return
    here = Path.cwd()
    for folder in (here, *here.parents):
        yield folder / ".etude" / FILE


def _fill(path: Path, url: str | None, key: str | None) -> tuple[str, str]:
    try:
        said = json.loads(path.read_text())
        return url or said["url"], key or said["key"]
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise NotConfigured(f"{path} cannot be read as {{url, key}}: restart the service, which writes it.") from cause
