"""From recordings to examples: segments of tracks, as embeddings or as crops of the spectrogram, with a target each.

The kind divides and encodes them as rows of a table whose only column is the number of the segment; then what was heard
takes that column's place. From there on it is a training on a table: the same networks, baselines and metrics.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from shared.audio_params import EMBEDDING_NETWORKS, EMBEDDING_SIZE, AudioTraining, Listening
from shared.errors import JobFailed
from shared.table_params import Preprocessing
from worker import crops, preparation, rare_labels, tables
from worker.batches import Split
from worker.cautions import Caution
from worker.heard import Heard, Wants
from worker.kinds.protocol import Kind, Prepared
from worker.preparation import Examples
from worker.recordings import Track
from worker.tables import Column, Texts
from worker.training import Table

FEATURES = tuple(f"embedding.{place:03d}" for place in range(EMBEDDING_SIZE))
# The column by which segments of one artist, or of tracks that sound the same, stay on one side of a split.
TOGETHER = "etude.together"
SEGMENT = "etude.segment"
FEWEST_TRACKS = 4
# A segment's number goes through the kind as it is, but a target of numbers is still brought to standard units.
UNTOUCHED = Preprocessing(outliers="keep", scale="none")


def examples_of_tracks(paths: Sequence[Path], profile: Mapping[str, Any], params: AudioTraining) -> Examples:
    """The manifest of the tracks, one row each, without those that have no label."""
    roles = profile["roles"]
    named = {**roles, "mask": [], "drop": []}
    every = list(tables.schema(paths))
    # Nothing in a manifest is learned from but the target: a licence or a title would tell the answer.
    masked = [name for name in every if name not in {*roles["target"], roles["group"], roles["id"]}]
    return preparation.load(
        paths, {**profile, "roles": {**named, "mask": masked}, "columns": [], "duplicates": 0}, params
    )


def usable(examples: Examples, tracks: Sequence[Track]) -> list[Track]:
    """The tracks to hear, in the order of the examples' rows; those that cannot be heard stand among them."""
    return [tracks[row] for row in examples.rows.tolist()]


def wants(params: AudioTraining) -> Wants:
    """What must be known of every track."""
    return Wants(mel=True) if params.front is not None else Wants(taggers=EMBEDDING_NETWORKS)


def segments(embedding: np.ndarray, listening: Listening) -> np.ndarray:
    """Means of some windows each, evenly over the track; (windows, size) to (segments, size)."""
    starts = crops.starts(len(embedding), listening)
    return np.stack([embedding[start : start + listening.windows_per_segment].mean(axis=0) for start in starts])


def embedding(heard: Heard) -> np.ndarray:
    """The embedding of every window, float32 (windows, 400)."""
    return np.concatenate([heard.windows[name].embedding for name in EMBEDDING_NETWORKS], axis=1)


@dataclass(frozen=True)
class Segments:
    """What was heard: of each example that could be, its place and its segments (segments, …)."""

    places: np.ndarray
    parts: list[np.ndarray]

    @property
    def owners(self) -> np.ndarray:
        """The part that each segment belongs to; segments are numbered through all parts."""
        return np.repeat(np.arange(len(self.parts)), [len(part) for part in self.parts])

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """These segments, in one array."""
        owners, firsts = self.owners, np.cumsum([0, *(len(part) for part in self.parts)])
        taken = np.empty((len(numbers), *self.parts[0].shape[1:]), self.parts[0].dtype)
        for place, number in enumerate(numbers.tolist()):
            taken[place] = self.parts[owners[number]][number - firsts[owners[number]]]
        return taken


def gather(heard: Iterable[Heard], params: AudioTraining) -> Segments:
    """The segments of every track that could be heard. Raises JobFailed (too_few_rows)."""
    places, parts = [], []
    for place, each in enumerate(heard):
        # Silence has nothing to learn from, whatever its label says.
        if each.fault is not None or "silent" in each.ear.get("quality", {}).get("flags", ()):
            continue
        places.append(place)
        if each.mel is not None and params.front is not None:
            parts.append(crops.cut(each.mel, params.listens))
        else:
            parts.append(segments(embedding(each), params.listens))
    if len(parts) < FEWEST_TRACKS:
        said = f"Only {len(parts)} tracks could be heard, expected at least {FEWEST_TRACKS}: see the dataset's tracks."
        raise JobFailed(said, code="too_few_rows")
    return Segments(np.array(places), parts)


def prepare(
    kind: Kind, examples: Examples, tracks: Sequence[Track], found: Segments, params: AudioTraining
) -> Prepared:
    """Matrices of segments, from examples of tracks and what was heard of them. Raises JobFailed."""
    silent = len(examples.rows) - len(found.parts)
    examples = _take(examples, found.places)
    if silent:
        examples.cautions.append(
            Caution("tracks_left_out", f"{silent:,} tracks could not be heard, or are silent, and are left out")
        )
    # In a private training a label that is rare is for the client to leave out.
    if params.privacy is None:
        examples, kept = rare_labels.leave_out(examples, _first_alike(examples, tracks), params)
        found = Segments(found.places[kept], [found.parts[place] for place in kept.tolist()])
    spread = _number(keep_together(examples, tracks), found)
    plain = params if params.preprocess == "none" else params.model_copy(update={"preprocess": UNTOUCHED})
    return _fill(kind.data.prepare(spread, plain), found, params)


def _take(examples: Examples, places: np.ndarray) -> Examples:
    columns = {name: tables.take(column, places) for name, column in examples.columns.items()}
    return replace(examples, columns=columns, rows=examples.rows[places], cautions=list(examples.cautions))


def _first_alike(examples: Examples, tracks: Sequence[Track]) -> np.ndarray:
    """For each example the number of the first track that sounds the same."""
    alike = [tracks[row].same_as for row in examples.rows.tolist()]
    return np.array([row if first is None else first for first, row in zip(alike, examples.rows.tolist(), strict=True)])


def keep_together(examples: Examples, tracks: Sequence[Track]) -> Examples:
    """Group tracks by artist or album where the manifest has one, and always by what sounds the same."""
    codes, cautions = _first_alike(examples, tracks), list(examples.cautions)
    if examples.group is None:
        said = (
            "No column says which tracks belong together, so tracks of one artist may lie on both sides of the split "
            "and make the result look better than it is: name columns.group when you create the dataset."
        )
        cautions.append(Caution("leakage_suspected", said))
    else:
        codes = _merge(codes, tables.labels(examples.columns[examples.group]).codes)
    words, places = np.unique(codes, return_inverse=True)
    together = Texts([str(word) for word in words], places.astype(np.int32))
    return replace(examples, columns={**examples.columns, TOGETHER: together}, group=TOGETHER, cautions=cautions)


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


def _number(examples: Examples, found: Segments) -> Examples:
    """A row a segment, with its number as the only feature."""
    spread = _take(examples, found.owners)
    numbers: Column = np.arange(len(spread.rows), dtype=np.float64)
    columns = {**spread.columns, SEGMENT: numbers}
    return replace(spread, columns=columns, features=[SEGMENT], has_duplicates=False)


def _fill(prepared: Prepared, found: Segments, params: AudioTraining) -> Prepared:
    """What was heard in place of the numbers of the segments."""
    train, validation, test = map(_numbers, (prepared.train, prepared.validation, prepared.test))
    sides = {"train": len(np.unique(found.owners[train])), "validation": len(np.unique(found.owners[validation]))}
    if prepared.test is not None:
        sides["test"] = len(np.unique(found.owners[test]))
    prepared = replace(prepared, split={**prepared.split, "tracks": sides}, is_pooled=True)
    # The unit of a private training is heard as one, whatever else there is.
    if params.privacy is None:
        is_balanced = getattr(params, "class_weights", 0) == "balanced"
        prepared = replace(prepared, train=weigh(prepared.train, found.owners[train], is_balanced=is_balanced))
    if params.front is not None:
        return _with(prepared, *map(found.take, (train, validation, test)), features=())
    matrix, split = np.concatenate(found.parts), Split(train, validation, test)
    columns: dict[str, Column] = {name: matrix[:, place] for place, name in enumerate(FEATURES)}
    rows = np.arange(len(matrix))
    examples = Examples(columns, list(FEATURES), [], None, None, rows, has_duplicates=False)
    made = preparation.tabulate(examples, split, params)
    filled = _with(prepared, made.train, made.validation, made.test, features=made.features)
    # Of the embedding's numbers that never vary nobody need be told, one by one.
    told = [caution for caution in made.cautions if caution.code != "column_left_out"]
    return replace(filled, cautions=[*filled.cautions, *told])


def _numbers(table: Table | None) -> np.ndarray:
    return np.empty(0, np.int64) if table is None else table.x[:, 0].round().astype(np.int64)


def _with(
    prepared: Prepared, train: np.ndarray, validation: np.ndarray, test: np.ndarray, *, features: Any
) -> Prepared:
    held_out = None if prepared.validation is None else replace(prepared.validation, x=validation)
    tested = None if prepared.test is None else replace(prepared.test, x=test)
    learned = replace(prepared.train, x=train)
    return replace(prepared, train=learned, validation=held_out, test=tested, features=features)


def weigh(table: Table, owners: np.ndarray, *, is_balanced: bool) -> Table:
    """Every track weighs the same, however many segments it has, as it does in the metrics; the mean weight stays.

    Otherwise a class of long pieces would seem likelier than one of short ones. With balanced classes each class weighs
    the same as well.
    """
    _, places, counts = np.unique(owners, return_inverse=True, return_counts=True)
    weight = 1.0 / counts[places] * (1 if table.weight is None else table.weight)
    if is_balanced:
        codes = table.y.argmax(axis=1) if table.y.shape[1] > 1 else table.y[:, 0].astype(np.int64)
        weight /= np.bincount(codes, weights=weight)[codes]
    return replace(table, weight=(weight * (len(weight) / weight.sum())).astype(np.float32))
