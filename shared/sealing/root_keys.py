"""The operator's root keys: read from a setting or a file, never from SQL; the first wraps, all of them open."""

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from shared.settings import Settings, SettingsWrong

HEX_DIGITS = 64
MAKE_ONE = "make one with: openssl rand -hex 32"


@dataclass(frozen=True)
class RootKeys:
    """By id, in the operator's order. Two of them are valid while the older is being replaced."""

    by_id: dict[str, bytes]

    @property
    def primary(self) -> str:
        return next(iter(self.by_id))


def read(chosen: Settings) -> RootKeys:
    """Raises SettingsWrong with a sentence when there is none, or none that can be used; its signs are never told."""
    if chosen.root_key:
        return _parse(chosen.root_key.split(","), "ETUDE_ROOT_KEY")
    path = Path(chosen.root_key_file)
    return _parse(_read_private(path).split(), f"ETUDE_ROOT_KEY_FILE ({path})")


def make_once(path: Path) -> None:
    """The embedded mode's own, of mode 600; one that is there stays. Raises SettingsWrong where none can be put."""
    try:
        if not path.exists():
            _make(path)
    except OSError as cause:
        raise _wrong(f"No root key can be put to {path} ({cause.strerror}): set ETUDE_ROOT_KEY_FILE.") from cause


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(path.name + ".draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _read_private(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except FileNotFoundError as cause:
        said = f"There is no root key: set ETUDE_ROOT_KEY or ETUDE_ROOT_KEY_FILE ({path} is not there; {MAKE_ONE})."
        raise _wrong(said) from cause
    except (OSError, UnicodeDecodeError) as cause:
        said = f"The root key in {path} cannot be read: it is to be a file of text that this user owns, of mode 600."
        raise _wrong(said) from cause
    if stat.S_IMODE(mode) & 0o077:
        raise _wrong(f"The root key in {path} can be read by others (mode {stat.S_IMODE(mode):o}): chmod 600 {path}")
    return text


def _parse(texts: list[str], place: str) -> RootKeys:
    found: dict[str, bytes] = {}
    for text in (each.strip() for each in texts):
        if len(text) != HEX_DIGITS or not all(sign in "0123456789abcdefABCDEF" for sign in text):
            said = f"expected {HEX_DIGITS} hexadecimal digits for each key, received {len(text)} signs"
            raise _wrong(f"{place}: {said}; {MAKE_ONE}.")
        key = bytes.fromhex(text)
        found[identify(key)] = key
    if not found:
        raise _wrong(f"{place}: expected a root key, received nothing; {MAKE_ONE}.")
    return RootKeys(found)


def identify(key: bytes) -> str:
    """A name for a root key that tells nothing of it."""
    return hmac.digest(key, b"etude root key id", hashlib.sha256).hex()[:16]


def _wrong(said: str) -> SettingsWrong:
    return SettingsWrong(f"Etude cannot start.\n{said}")
