"""A downloaded model version: whether each file in the archive is what the manifest says, before anybody is asked."""

import hashlib
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from etude.errors import EtudeError

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
# The service takes no longer one; a signature is 64 signs and the end of a line.
MANIFEST_BYTES, SIGNATURE_BYTES = 65_536, 80
BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Signed:
    """What an archive says of itself, its files having been compared."""

    version: str
    manifest: str
    signature: str
    files: int


def read(path: Path) -> Signed:
    """Compare every file with the manifest. Raises EtudeError that names those which differ, lack or are too many."""
    try:
        with zipfile.ZipFile(path) as opened:
            return _check(opened)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as cause:
        raise EtudeError(f"{path} cannot be read as an archive: {cause}.") from cause


def _check(opened: zipfile.ZipFile) -> Signed:
    names = opened.namelist()
    manifest, signature = _small(opened, MANIFEST, MANIFEST_BYTES), _small(opened, SIGNATURE, SIGNATURE_BYTES).strip()
    if not re.fullmatch("[0-9a-f]{64}", signature):
        raise EtudeError(f"{SIGNATURE} holds no signature: fetch the version again with `etude download`.")
    version, digests = _parse(manifest)
    present = [name for name in names if name not in (MANIFEST, SIGNATURE)]
    wrong = [f"{name} is not in the manifest" for name in present if name not in digests]
    wrong += [f"{name} is missing" for name in digests if name not in present]
    wrong += [f"{name} is there twice" for name in sorted({name for name in names if names.count(name) > 1})]
    wrong += [f"{name} was changed" for name in digests if name in present and _digest(opened, name) != digests[name]]
    if wrong:
        raise EtudeError(f"The archive is not what its manifest says: {'; '.join(wrong)}. Trust none of it.")
    return Signed(version, manifest, signature, len(digests))


def _small(opened: zipfile.ZipFile, name: str, most: int) -> str:
    try:
        with opened.open(name) as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise EtudeError(f"{name} has more than {most:,} bytes: this is no archive of a model version.")
        return content.decode()
    except (KeyError, UnicodeDecodeError) as cause:
        raise EtudeError(f"There is no readable {name}: this is no archive of a model version.") from cause


def _parse(manifest: str) -> tuple[str, dict[str, str]]:
    try:
        said = json.loads(manifest)
        return str(said["version"]), {str(name): str(digest) for name, digest in said["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise EtudeError(f"{MANIFEST} is no manifest of a model version.") from cause


def _digest(opened: zipfile.ZipFile, name: str) -> str:
    """Block by block: what is packed small may be large."""
    digest = hashlib.sha256()
    with opened.open(name) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
