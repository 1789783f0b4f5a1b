"""From recordings to examples: segments of a track become rows of a table, whose columns are the embedding's numbers.

From there on a training on recordings is a training on a table: the same division, networks, baselines and metrics.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from shared.audio_params import EMBEDDING_NETWORKS, EMBEDDING_SIZE, AudioTraining, Listening
from shared.errors import JobFailed
from worker import preparation, tables
from worker.cautions import Caution
from worker.perception import Heard
from worker.preparation import Examples
from worker.recordings import Track
from worker.tables import Column, Texts

FEATURES = tuple(f"embedding.{place:03d}" for place in range(EMBEDDING_SIZE))
# The column by which segments of one artist, or of tracks that sound the same, stay on one side of a split.
TOGETHER = "etude.together"
FEWEST_TRACKS = 4


def examples_of_tracks(paths: Sequence[Path], profile: Mapping[str, Any], params: AudioTraining) -> Examples:
    """The manifest of the tracks, one row each, without those that have no label."""
    roles = profile["roles"]
    named = {**roles, "mask": [], "drop": []}
    every = list(tables.schema(paths))
    # Nothing in a manifest is learned from but the target: a licence or a title would tell the answer.
    masked = [name for name in every if name not in {*roles["target"], roles["group"], roles["id"]}]
    return preparation.load(paths, {**profile, "roles": {**named, "mask": masked}, "columns": [], "duplicates": 0}, params)


def usable(examples: Examples, tracks: Sequence[Track]) -> list[Track]:
    """The tracks to hear, in the order of the examples' rows; those that cannot be heard stand among them."""
    return [tracks[row] for row in examples.rows.tolist()]


def segments(embedding: np.ndarray, listening: Listening) -> np.ndarray:
    """Means of some windows each, evenly over the track; (windows, size) to (segments, size)."""
    size = min(listening.windows_per_segment, len(embedding))
    starts = np.arange(0, len(embedding) - size + 1, size)
    if len(starts) > listening.segments_per_track:
        starts = starts[np.linspace(0, len(starts) - 1, listening.segments_per_track).round().astype(int)]
    return np.stack([embedding[start : start + size].mean(axis=0) for start in starts])


def embedding(heard: Heard) -> np.ndarray:
    """The embedding of every window, float32 (windows, 400)."""
    return np.concatenate([heard.windows[name].embedding for name in EMBEDDING_NETWORKS], axis=1)


def spread(examples: Examples, heard: Iterable[Heard], listening: Listening) -> Examples:
    """Examples of segments in place of those of tracks; tracks that could not be heard are left out, with a caution."""
    parts: list[np.ndarray] = []
    owners: list[int] = []
    together: list[int] = []
    silent = 0
    for place, each in enumerate(heard):
        if each.fault is not None:
            silent += 1
            continue
        found = segments(embedding(each), listening)
        parts.append(found)
        owners += [place] * len(found)
        together.append(place)
    if len(together) < FEWEST_TRACKS:
        said = f"Only {len(together)} tracks could be heard, expected at least {FEWEST_TRACKS}: see the dataset's tracks."
        raise JobFailed(said, code="too_few_rows")
    matrix, rows = np.concatenate(parts), np.array(owners)
    columns: dict[str, Column] = {name: tables.take(column, rows) for name, column in examples.columns.items()}
    columns.update({name: matrix[:, place].astype(np.float64) for place, name in enumerate(FEATURES)})
    cautions = list(examples.cautions)
    if silent:
        cautions.append(Caution("tracks_left_out", f"{silent:,} tracks could not be heard and are left out"))
    return replace(
        examples, columns=columns, features=list(FEATURES), rows=examples.rows[rows], has_duplicates=False, cautions=cautions
    )


def keep_together(examples: Examples, tracks: Sequence[Track]) -> Examples:
    """Group segments by artist or album where the manifest has one, and always by what sounds the same."""
    first = np.array([tracks[row].same_as if tracks[row].same_as is not None else row for row in range(len(tracks))])
    codes = first[examples.rows].astype(np.int64)
    cautions = list(examples.cautions)
    if examples.group is None:
        said = (
            "No column says which tracks belong together, so tracks of one artist may lie on both sides of the split and "
            "make the result look better than it is: name columns.group when you create the dataset."
        )
        cautions.append(Caution("leakage_suspected", said))
    else:
        codes = _merge(codes, tables.labels(examples.columns[examples.group]).codes)
    columns = {**examples.columns, TOGETHER: Texts([str(code) for code in range(int(codes.max()) + 1)], codes.astype(np.int32))}
    return replace(examples, columns=columns, group=TOGETHER, cautions=cautions)


def _merge(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Codes that are equal where either is: the connected parts of both relations; MISSING relates to nothing."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = int(first.max()) + 1
    present = second != tables.MISSING
    left, right = first[present], second[present].astype(np.int64) + size
    total = size + int(second.max(initial=-1)) + 1
    links = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(total, total))
    return connected_components(links, directed=False)[1][first].astype(np.int64)
