"""The child's work on an archive that loses pieces: opens what a client has uploaded, and writes what is left of it.

An entry of a zip archive is left out. In an NPZ file the place stays, with no frames in it: keys there are numbers, and
those of the others must not change.
"""

import errno
import json
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from worker.symbolic import archive, grids
from worker.symbolic.flaws import Flaw
from worker.symbolic.grids import ATTACKS, FRAMES, LENGTHS, RESOLUTION, Part
from worker.symbolic.sniff import HEAD_BYTES, sniff

Json = dict[str, Any]  # Any: JSON

FULL = (errno.ENOSPC, errno.EDQUOT)


def main() -> None:
    request = json.load(sys.stdin)
    try:
        remove(Path(request["path"]), request["name"], set(request["gone"]), Path(request["out"]))
        said: Json = {"done": {}}
    except Flaw as flaw:
        said = {"failed": {"code": flaw.code, "detail": flaw.detail}}
    except OSError as cause:
        if cause.errno not in FULL:
            raise
        said = {"failed": {"code": "disk_full"}}
    print(json.dumps(said), flush=True)  # noqa: T201 — the pipe to the parent


def remove(path: Path, name: str, gone: Collection[str], out: Path) -> None:
    """Write the archive, which clients call `name`, without the pieces of these keys. Raises Flaw."""
    with path.open("rb") as file:
        kind = sniff(file.read(HEAD_BYTES), name)
    if kind == "npz":
        return _rewrite_grids(path, name, gone, out)
    return _rewrite_zip(path, name, gone, out)


def _rewrite_zip(path: Path, name: str, gone: Collection[str], out: Path) -> None:
    """What cannot be read is left out, too, and so are files that hold no piece, which may be named like one."""
    with archive.opened(path) as opened, zipfile.ZipFile(out, "x", zipfile.ZIP_DEFLATED) as left:
        for entry in archive.files(opened):
            if f"{name}/{entry.filename}" in gone:
                continue
            try:
                content = archive.content(opened, entry)
            except Flaw:
                continue
            # Without the moment at which somebody has changed the file.
            left.writestr(zipfile.ZipInfo(entry.filename), content, zipfile.ZIP_DEFLATED)


def _rewrite_grids(path: Path, name: str, gone: Collection[str], out: Path) -> None:
    arrays: dict[str, np.ndarray] = {}
    for part in grids.read(path):
        arrays |= _left_of(part, name if part.name is None else f"{name}/{part.name}", gone)
        arrays[RESOLUTION] = np.array(part.resolution)
    with out.open("xb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stub takes the names for options


def _left_of(part: Part, folder: str, gone: Collection[str]) -> dict[str, np.ndarray]:
    lengths = np.diff(part.starts)
    is_gone = np.array([f"{folder}/{number}" in gone for number in range(len(part))], bool)
    is_kept = np.repeat(~is_gone, lengths)
    attacks = {} if part.attacks is None else {f"{part.prefix}{ATTACKS}": part.attacks[is_kept]}
    left = {f"{part.prefix}{FRAMES}": part.frames[is_kept], f"{part.prefix}{LENGTHS}": np.where(is_gone, 0, lengths)}
    return {**left, **attacks}
