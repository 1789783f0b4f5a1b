"""What the recordings of items sound like: the mean embedding of each that a dataset of audio has by its name."""

from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from sqlalchemy import Row

from shared.audio_params import EMBEDDING_SIZE
from worker import consent_cells, perception, recordings
from worker.desk import Desk


def embeddings(
    desk: Desk, rows: Sequence[Row[Any]], items: Sequence[str], withheld: Collection[str] = ()
) -> np.ndarray:
    """Float32 (items, 400), zeros where there is no recording of that key, or of a file of that name.

    Nor is one heard that may not be learned from, be it by its cell of consent or as one of the keys `withheld`.
    """
    desk.enter("listening")
    places = {item: place for place, item in enumerate(items)}
    found = np.zeros((len(items), EMBEDDING_SIZE), np.float32)
    for row in rows:
        uploads = {file.sha256: file for file in desk.uploads(row)}
        paths = desk.fetch_parts(row)
        refused = consent_cells.withheld_rows(paths, row.profile, withheld)
        tracks = [track for track in recordings.read(paths) if _place(track, places) is not None]
        tracks = [track for track in tracks if track.number not in refused]
        with closing(perception.means(desk, tracks, uploads, "float32")) as means:
            for track, mean in means:
                found[_place(track, places)] = mean
    return found


def _place(track: recordings.Track, places: dict[str, int]) -> int | None:
    """The item that a track is of: of its key, or of its file's name without folder and ending."""
    return places.get(track.key, places.get(PurePosixPath(track.file).stem))
