"""A list for every listener of a dataset, in chunks that several workers share (worker/scoring.py)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shared.kinds.recommendation import ScoreParams
from worker.drift import Counts
from worker.interactions.stored import Interactions
from worker.lines import Field
from worker.prediction_files import ChunkFiles
from worker.recommenders import listing, splits
from worker.recommenders.artifacts import RecommenderModel
from worker.recommenders.listing import HISTORY, POPULARITY, Listed
from worker.recommenders.selection import NOTHING

Json = dict[str, Any]

# Listeners of a chunk: some seconds of work.
CHUNK_USERS = 4_096
# After so many it is told how far the chunk is, and looked whether it shall go on.
USERS_AT_ONCE = 512


class ListScoring:
    """A model and the listeners that shall have lists. Raises InvalidRequest where a filter names no column."""

    unit, has_files, remembers, size = "listeners", False, False, CHUNK_USERS
    before: Counts | None = None

    def __init__(self, model: RecommenderModel, plays: Interactions, params: ScoreParams) -> None:
        self._model, self._params, self._users = model, params, plays.users
        self._rules = listing.rules(model, params, pointer="/params")
        self._given = listing.in_places_of(model, plays.items, splits.everything(plays))
        self.total, self.formats = len(plays.users), params.formats
        self._names = pa.array(model.items, pa.string())
        self.empty: Mapping[str, Field] = self._rows(0, 0)[0]

    def score(self, first: int, end: int, out: ChunkFiles, progress: Callable[[int], None]) -> Json:
        """Lists of the listeners from `first` to before `end`."""
        told = {"empty": 0, "by_popularity": 0, "short": 0}
        for start in range(first, end, USERS_AT_ONCE):
            stop = min(end, start + USERS_AT_ONCE)
            rows, listed = self._rows(start, stop)
            out.write(rows, _errors([], [], []))
            lengths = np.count_nonzero(listed.items != NOTHING, axis=1)
            told["empty"] += int(np.count_nonzero(lengths == 0))
            told["short"] += int(np.count_nonzero((lengths > 0) & (lengths < self._params.k)))
            told["by_popularity"] += int(np.count_nonzero(~listed.by_history))
            progress(stop)
        return told

    def _rows(self, first: int, end: int) -> tuple[Mapping[str, Field], Listed]:
        listed = listing.lists(self._model, self._given.within(first, end), self._rules, explain=self._params.explain)
        is_there = listed.items != NOTHING
        ends = pa.array(np.concatenate([[0], np.cumsum(is_there.sum(axis=1))]).astype(np.int32))
        columns: dict[str, Field] = {
            "key": pa.array(self._users[first:end], pa.string()),
            "items": pa.ListArray.from_arrays(ends, self._names.take(pa.array(listed.items[is_there]))),
            "scores": pa.ListArray.from_arrays(ends, pa.array(listed.scores[is_there], pa.float32())),
        }
        if self._params.explain:
            because = listed.reasons[is_there]
            places = pa.array(because, mask=because == NOTHING)
            columns["because"] = pa.ListArray.from_arrays(ends, self._names.take(places))
        basis = np.where(listed.by_history, HISTORY, POPULARITY)
        return {**columns, "basis": pa.array(basis.tolist(), pa.string())}, listed

    def bury(self, row: int, reason: str, out: ChunkFiles) -> Json:
        """Say of a listener why there is no list."""
        out.write(self.empty, _errors([self._users[row]], [row], [reason]))
        return {"empty": 0, "by_popularity": 0, "short": 0}

    def summarise(self, told: Sequence[Json], *, rows: int) -> Json:
        """How many lists are empty, short, or what most have played; and what may stand in one at all."""
        sums = {name: sum(each[name] for each in told) for name in ("empty", "short", "by_popularity")}
        allowed = self._rules.allowed
        may = self._model.model.offered if allowed is None else allowed & self._model.model.offered
        warnings = []
        if rows and sums["empty"] == rows:
            said = "Every list is empty: the filters, or min_listeners, leave nothing to recommend."
            warnings.append({"code": "nothing_to_recommend", "detail": said})
        for column, label in self._rules.unknown_labels:
            said = f"No item has {label!r} in the column {column!r}, which a filter names."
            warnings.append({"code": "filter_label_unknown", "detail": said})
        return {"lists": {"k": self._params.k, **sums, "items": int(np.count_nonzero(may))}, "warnings": warnings}


def _errors(users: list[str], rows: list[int], reasons: list[str]) -> dict[str, Field]:
    texts = {"key": users, "reason": reasons, "column": [None] * len(rows)}
    arrays: dict[str, Field] = {name: pa.array(values, pa.string()) for name, values in texts.items()}
    return {"key": arrays["key"], "row": pa.array(rows, pa.int64()), **arrays}
