"""What is left of the versions of a name without a listener, a row or a recording, by their format."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from shared import erasing, erasures
from shared.datasets import AUDIO, SYMBOLIC, TABLE
from worker import erased_recordings, erased_rows, erased_scores, listeners
from worker.desk import Desk

Json = dict[str, Any]


def formats(row: Row[Any]) -> Sequence[str]:
    """The formats whose versions lose the subject of an erasure."""
    return erasing.OF_ROWS if row.kind == erasures.TRACK else erasing.OF_LISTENERS


def find(desk: Desk, row: Row[Any], read: Sequence[Row[Any]]) -> list[erasing.Change]:
    """The versions that lose something, as they will be."""
    if row.kind == erasures.LISTENER:
        found = [listeners.without(desk, each, row.pseudonym) for each in read]
        return [change for change in found if change is not None]
    found = [erased_rows.without(desk, each, row.pseudonym) for each in read if each.format == TABLE]
    heard = [each for each in read if each.format == AUDIO]
    noted = [each for each in read if each.format == SYMBOLIC]
    return [
        *(change for change in found if change is not None),
        *erased_recordings.without(desk, heard, row.pseudonym),
        *erased_scores.without(desk, noted, row.pseudonym),
    ]


def told(row: Row[Any], before: Json | None, change: erasing.Change) -> Json:
    """What became of a version; another attempt may have found events in it that were added since."""
    lost = "rows" if row.kind == erasures.TRACK else "events"
    return {
        "id": change.was.id,
        "reference": f"{change.was.name}@{change.was.version}",
        "sha256_before": change.was.sha256 if before is None else before["sha256_before"],
        "sha256_after": change.sha256,
        lost: change.lost + (0 if before is None else before[lost]),
    }


def replaced(change: erasing.Change) -> list[Json]:
    """The files of which others have taken the place."""
    gone = [] if change.uploads is None else change.uploads.gone
    named = [("dataset_part", part) for part in change.was.parts] + [("upload", file._mapping) for file in gone]
    return [
        {"kind": kind, "of": change.was.id, "place": file["key"], "sha256": file["sha256"],
         "size_bytes": file["size_bytes"]}
        for kind, file in named
    ]  # fmt: skip
