"""What is learned from and what is judged on: plays without bots, divided, and what the items are like."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from shared.errors import Fault, JobFailed
from shared.kinds.recommendation import TrainParams
from worker.cautions import Caution
from worker.interactions import bots, stored
from worker.interactions.stored import Interactions
from worker.recommenders import content, splits
from worker.recommenders.catalogue import Catalogue
from worker.recommenders.histories import Histories
from worker.recommenders.newcomers import Finder
from worker.recommenders.splits import Split, Task, Way
from worker.tables import Texts

Json = dict[str, Any]

# A mean over fewer listeners says little, whatever its interval.
FEW_LISTENERS = 50


@dataclass(frozen=True)
class Prepared:
    """All that a training needs."""

    plays: Interactions
    split: Split
    catalogue: Catalogue
    # What the items are like, rows of length 1; None where nothing tells.
    features: sparse.csr_matrix | None
    cautions: list[Caution]
    left_out: Json
    newcomers: Finder

    @property
    def everything(self) -> Histories:
        return splits.everything(self.plays)


def load(paths: Sequence[Path]) -> Interactions:
    """The plays of a dataset."""
    return stored.load(paths)


def prepare(plays: Interactions, params: TrainParams, *, heard: np.ndarray | None = None) -> Prepared:
    """Leave out what is no taste, divide, describe the items. Raises JobFailed where nothing can be judged.

    `heard` are embeddings of the items' recordings (items, size), zeros where there is none.
    """
    cautions: list[Caution] = []
    kept, left_out = _kept(plays, params, cautions)
    plays = _only(plays, kept)
    split = _divided(plays, params, cautions)
    catalogue = Catalogue(plays.catalogue)
    features = None
    if params.content is not None:
        features = content.describe(_chosen(catalogue, params.content.columns), heard)
    return Prepared(plays, split, catalogue, features, cautions, left_out, Finder(features))


def _kept(plays: Interactions, params: TrainParams, cautions: list[Caution]) -> tuple[np.ndarray, Json]:
    """Which events are learned from, and how many are not for which reason."""
    kept = np.ones(len(plays.user), bool)
    left_out: Json = {}
    if params.contexts is not None:
        kept &= _in_contexts(plays.context, params.contexts)
        left_out["other_contexts"] = int((~kept).sum())
    if params.bots == "leave_out":
        of_bots = np.isin(plays.user, bots.bots(plays)) & kept
        if of_bots.any():
            count = len(np.unique(plays.user[of_bots]))
            said = f"{count:,} users with counts that no listener has are left out, {int(of_bots.sum()):,} events."
            cautions.append(Caution("bots_left_out", f"{said} Set bots to keep to learn from them."))
            left_out["bots"] = int(of_bots.sum())
        kept &= ~of_bots
    if params.least_listeners > 1:
        rare = _listeners(plays, kept) < params.least_listeners
        left_out["rare_items"] = int((kept & rare[plays.item]).sum())
        kept &= ~rare[plays.item]
    return kept, left_out


def _in_contexts(context: Texts | None, wanted: Sequence[str]) -> np.ndarray:
    known = [] if context is None else context.words
    unknown = [word for word in wanted if word not in known]
    if context is None or unknown:
        there = f"the dataset has {len(known):,} others" if known else "the dataset has no column of contexts"
        fault = Fault(f"expected contexts of the dataset, received {unknown[0]!r}", pointer="/params/contexts")
        raise JobFailed(f"No event has the context {unknown[0]!r}: {there}.", code="context_unknown", faults=[fault])
    return np.isin(context.codes, [context.words.index(word) for word in wanted])


def _listeners(plays: Interactions, kept: np.ndarray) -> np.ndarray:
    pairs = np.unique(plays.user[kept].astype(np.int64) * len(plays.items) + plays.item[kept])
    return np.bincount(pairs % max(1, len(plays.items)), minlength=len(plays.items))


def _only(plays: Interactions, kept: np.ndarray) -> Interactions:
    """The same users and items with some of the events."""
    time = None if plays.time is None else plays.time[kept]
    return replace(
        plays, user=plays.user[kept], item=plays.item[kept], weight=plays.weight[kept], time=time, context=None
    )


def _divided(plays: Interactions, params: TrainParams, cautions: list[Caution]) -> Split:
    way: Way = ("user" if plays.time is None else "time") if params.split == "auto" else params.split
    if way in ("time", "last") and plays.time is None:
        said = f"The split {way!r} wants a time of each event, and the dataset has none: use user or random."
        fault = Fault("expected user or random", pointer="/params/split")
        raise JobFailed(said, code="no_times", faults=[fault])
    for each in (way, *(("user", "random") if params.split == "auto" else ())):
        split = splits.divide(plays, each, seed=params.seed)
        if _is_judged(split.validation) and _is_judged(split.test):
            _warn(split, way, cautions)
            return split
    said = (
        f"Nothing is left to judge a model by: too few of {len(plays.users):,} users have played "
        f"{splits.LEAST_ITEMS} of {len(plays.items):,} items. Send more plays, or name another split."
    )
    raise JobFailed(said, code="too_few_plays")


def _is_judged(task: Task) -> bool:
    return len(task.users) > 0 and len(task.train.items) > 0


def _warn(split: Split, wanted: Way, cautions: list[Caution]) -> None:
    if split.way != wanted:
        said = f"A split by {wanted} leaves nobody to judge by: the split is by {split.way} instead."
        cautions.append(Caution("split_changed", said))
    if len(split.test.users) < FEW_LISTENERS:
        said = f"The metrics are means over {len(split.test.users)} listeners alone: see their intervals."
        cautions.append(Caution("few_listeners", said))


def _chosen(catalogue: Catalogue, columns: Sequence[str] | None) -> Catalogue:
    if columns is None:
        return catalogue
    absent = [name for name in columns if name not in catalogue]
    if absent:
        known = ", ".join(catalogue.names) or "none"
        fault = Fault(f"expected columns of the item table, received {absent[0]!r}", pointer="/params/content/columns")
        said = f"The item table has no column {absent[0]!r}; it has {known}."
        raise JobFailed(said, code="columns_missing", faults=[fault])
    return Catalogue(catalogue.table.select(list(columns)))


def later(plays: Interactions, moment: float | None, *, seed: int) -> tuple[Task, list[Json]]:
    """What was played after a moment, to be found from what was played before; else some of it, drawn.

    Raises JobFailed (too_few_plays) where nothing is to be found.
    """
    if moment is not None and plays.time is not None:
        task = splits.after(plays, moment)
        if len(task.users):
            return task, []
    task = splits.divide(plays, "random", seed=seed).test
    if not len(task.users):
        raise JobFailed("Nobody has enough plays to hide some of them.", code="too_few_plays")
    said = (
        "No event is later than those that the model has learned from: a part of each history was hidden. "
        "Where the model has learned from the same events it knows them by heart."
    )
    return task, [Caution("leakage_suspected", said).as_json()]
