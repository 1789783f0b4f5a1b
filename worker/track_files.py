"""The files that a scoring makes for single tracks, in one archive: a list of them as JSON Lines says where each lies.

Stored uncompressed in a zip, so that the whole is one download and a single file is a range of its bytes.
"""

import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from worker.lines import JsonLines

ARCHIVE, LIST = "files.zip", "files.jsonl"
# The fixed part of an entry's own header, before its name (PKWARE APPNOTE 4.3.7).
HEADER_BYTES = 30
NAME_SIGNS = 80


@dataclass(frozen=True)
class TrackFile:
    """One file about one track."""

    suffix: str  # such as notes.mid
    media_type: str
    content: bytes


class TrackFiles:
    """Adds files track by track; once left, archive and list are whole."""

    def __init__(self, folder: Path) -> None:
        self._archive = zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_STORED)
        self._list = JsonLines(folder / LIST)

    @property
    def count(self) -> int:
        return self._list.rows

    def add(self, row: int, key: str, files: Iterable[TrackFile]) -> list[str]:
        """Store the files of a track; returns where each can be fetched, relative to the job's files."""
        return [self._add(row, key, file) for file in files]

    def _add(self, row: int, key: str, file: TrackFile) -> str:
        number = self._list.rows
        name = f"{row:06d}-{_plain(key)}.{file.suffix}"
        # A moment of its own would make the same scoring another file each time.
        info = zipfile.ZipInfo(name)
        self._archive.writestr(info, file.content)
        said = {
            "number": number,
            "key": key,
            "name": name,
            "media_type": file.media_type,
            "size_bytes": len(file.content),
            "offset": info.header_offset + HEADER_BYTES + len(name.encode()),
        }
        self._list.write(json.dumps(said, ensure_ascii=False))
        return f"files/{number}"

    def __enter__(self) -> "TrackFiles":
        return self

    def __exit__(self, *error: object) -> None:
        self._archive.close()
        self._list.__exit__(*error)


def _plain(key: str) -> str:
    """A key as part of a file's name anywhere: letters and digits of the last part of a path."""
    last = key.rpartition("/")[2].rpartition(".")[0] or key
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "_" for sign in last)[:NAME_SIGNS]
