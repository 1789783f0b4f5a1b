"""How well one can tell from a model's loss which rows it has learned from: the threshold attack of Yeom et al. 2018.

Members are rows that trained, others those that were held out. Rows that belong together are drawn again together.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from worker import evaluation
from worker.cautions import Caution
from worker.kinds.protocol import Prepared
from worker.networks import NetworkSpec
from worker.training import Table

Json = dict[str, Any]

ATTACK = "loss threshold (Yeom et al. 2018)"
# Of either side; more rows would narrow intervals that are narrow already.
MOST_ROWS = 10_000
# Segments that a convolutional front hears for it: each takes milliseconds.
MOST_HEARD = 1000
# With fewer on either side one in a thousand is less than a row: the figures are shown, and conclude nothing.
CONCLUSIVE = 1000
# Of fewer units the ends of a percentile interval are not where they should be: of two that were held out, one AUC in
# six lies above its interval.
LEAST_UNITS = 10
# A model of which the attack is surely right more often than this share of pairs is warned about.
LEAK_AUC = 0.6
CODE = "membership_leak"
FALSE_ALARMS = (0.01, 0.001)
RESAMPLES = 500
BOUNDS = 2.5, 97.5
# Of a probability of nothing.
LEAST = 1e-7
NOTHING_HELD_OUT = "nothing was held out that did not train: hold out a test"


@dataclass(frozen=True)
class Losses:
    """The loss of rows, (rows,), and which of them belong together."""

    values: np.ndarray
    units: np.ndarray


def unmeasured(reason: str) -> Json:
    """What a version tells that has no report."""
    return {"measured": False, "reason": reason}


def report(
    prepared: Prepared, network: NetworkSpec, weights: dict[str, np.ndarray], *, is_crossed: bool, seed: int,
    check: Callable[[], None],
) -> Json:  # fmt: skip
    """The report of a network that has learned from `prepared.train`; `is_crossed`: from what validates, too."""
    sides = [("test", prepared.on_test())] if prepared.test is not None else []
    sides += [("validation", prepared)] if prepared.validation is not None and not is_crossed else []
    if not sides:
        return unmeasured(NOTHING_HELD_OUT)
    name, held_out = sides[0]
    members, others = losses(prepared, held_out, network, weights, seed=seed)
    check()
    return {**compare(members, others, seed=seed, check=check), "unit": unit_of(prepared), "non_members": name}


def unit_of(prepared: Prepared) -> str:
    return "recording" if prepared.is_pooled else "row"


def losses(
    prepared: Prepared, held_out: Prepared, network: NetworkSpec, weights: dict[str, np.ndarray], *, seed: int
) -> tuple[Losses, Losses]:
    """Of what has trained in `prepared`, and of what is in the place of the validation in `held_out`."""
    rows, groups = prepared.train_rows, prepared.train_groups
    learned = replace(prepared, validation=prepared.train, validation_rows=rows, validation_groups=groups)
    members, others = (_losses(each, network, weights, seed=seed) for each in (learned, held_out))
    return members, others


def _losses(prepared: Prepared, network: NetworkSpec, weights: dict[str, np.ndarray], *, seed: int) -> Losses:
    """Of the rows in the place of the validation, or of so many of them."""
    rows, table = prepared.validation_rows, prepared.validation
    assert table is not None
    named = np.unique(rows) if prepared.is_pooled else np.arange(len(rows))
    most = MOST_ROWS if network.front is None else max(2, MOST_HEARD * len(named) // len(rows))
    if len(named) > most:
        named = np.random.default_rng(seed).choice(named, most, replace=False)
        kept = np.isin(rows, named) if prepared.is_pooled else np.sort(named)
        groups = prepared.validation_groups
        prepared = replace(
            prepared, validation=Table(table.x[kept], table.y[kept]), validation_rows=rows[kept],
            validation_groups=None if groups is None else groups[kept],
        )  # fmt: skip
    assert prepared.validation is not None
    said = evaluation.by_row(prepared, evaluation.answers(network, weights, prepared))
    true = evaluation.by_row(prepared, prepared.validation.y)
    return Losses(loss(prepared.task, true, said), evaluation.units_of_rows(prepared, len(true)))


def loss(task: str, true: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Of each row, in float64: the squared error of numbers, else the cross-entropy; (rows, outputs) to (rows,)."""
    true, said = true.astype(np.float64), said.astype(np.float64)
    if task == "numbers":
        return ((true - said) ** 2).mean(axis=1)
    said = np.clip(said, LEAST, 1 - LEAST)
    if task == "one_hot":
        return -(true * np.log(said)).sum(axis=1)
    return -(true * np.log(said) + (1 - true) * np.log1p(-said)).mean(axis=1)


def compare(members: Losses, others: Losses, *, seed: int, check: Callable[[], None]) -> Json:
    """The figures of an attack that calls a row of small loss a member, each with its 95 % interval."""
    drawn = ([times] for times in _draw(members.units, others.units, seed))
    figures = measure([Ladder.of(members, others)], drawn, check=check)
    return conclude(figures, members=len(members.values), others=len(others.values))


def measure(ladders: Sequence["Ladder"], drawn: Iterable[Sequence[np.ndarray]], *, check: Callable[[], None]) -> Json:
    """The mean of each figure over some attacks, with its 95 % interval; `drawn`: resamples of all of them at once."""
    figures = {name: float(value[0]) for name, value in _mean(ladders, [each.once() for each in ladders]).items()}
    found: dict[str, list[np.ndarray]] = {name: [] for name in figures}
    for times in drawn:
        check()
        for name, value in _mean(ladders, times).items():
            found[name].append(value)
    return {name: {"value": value, "interval": _interval(found[name])} for name, value in figures.items()}


def conclude(figures: Json, *, members: int, others: int, attack: str = ATTACK) -> Json:
    """The report of figures that were found with so many on either side."""
    verdict = _verdict(figures["auc"], min(members, others) >= CONCLUSIVE)
    return {"measured": True, "attack": attack, "members": members, "others": others, **figures, "verdict": verdict}


def _mean(ladders: Sequence["Ladder"], times: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    found = [ladder.figures(each) for ladder, each in zip(ladders, times, strict=True)]
    return {name: np.mean([each[name] for each in found], axis=0) for name in found[0]}


def _verdict(auc: Json, is_conclusive: bool) -> str:
    if not is_conclusive or auc["interval"] is None:
        return "inconclusive"
    return "leaks" if auc["interval"][0] > LEAK_AUC else "no_leak_seen"


def cautions(told: Json) -> list[Caution]:
    """A caution where the attack is surely better than chance by more than a little."""
    interval = (told.get("auc") or {}).get("interval")
    if interval is None or interval[0] <= LEAK_AUC:
        return []
    whose = "the folds' networks" if "folds" in told else "the model"
    said = (
        f"whether a {told['unit']} was learned from can be told by the loss of {whose} "
        f"(AUC {told['auc']['value']:.2f}, at least {interval[0]:.2f}): learn from more data, for fewer epochs or with "
        "more regularization, or with privacy where the kind has it"
    )
    return [Caution(CODE, said)]


class Ladder:
    """All rows by rising loss, equal ones on one rung; the figures of rows that count so many times each."""

    @classmethod
    def of(cls, members: Losses, others: Losses) -> "Ladder":
        """The rows that trained, and after them the others."""
        every = np.concatenate([members.values, others.values])
        # What is no number tells nothing.
        every = np.where(np.isfinite(every), every, np.finfo(np.float64).max)
        return cls(every, np.arange(len(every)) < len(members.values))

    def __init__(self, losses: np.ndarray, is_member: np.ndarray) -> None:
        self._order = np.argsort(losses, kind="stable")
        ranked = losses[self._order]
        self._ends = np.flatnonzero(np.append(ranked[1:] > ranked[:-1], True))
        self._ranked, self._is_member = ranked, is_member[self._order]
        # A mean of the largest float there is would be none.
        self._bounded = np.minimum(ranked, 1e30)

    def once(self) -> np.ndarray:
        """Each row as often as it is there, (1, rows)."""
        return np.ones((1, len(self._order)))

    def figures(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """`times` (resamples, rows) to (resamples,) each."""
        weights = times[:, self._order]
        ours, theirs = weights * self._is_member, weights * ~self._is_member
        found, alarms = (np.cumsum(each, axis=1)[:, self._ends] for each in (ours, theirs))
        found, alarms = found / found[:, -1:], alarms / alarms[:, -1:]
        steps = np.diff(found, axis=1, prepend=0.0), np.diff(alarms, axis=1, prepend=0.0)
        # Of pairs of a member and another so many have the smaller loss at the member; equal ones count half.
        auc = (steps[0] * (1.0 - alarms + steps[1] / 2)).sum(axis=1)
        mean = (ours * self._bounded).sum(axis=1) / ours.sum(axis=1)
        below = self._ranked[self._ends] <= mean[:, None]
        advantage = (steps[0] * below).sum(axis=1) - (steps[1] * below).sum(axis=1)
        rates = {f"tpr_at_fpr_{share:g}": np.where(alarms <= share, found, 0.0).max(axis=1) for share in FALSE_ALARMS}
        return {"auc": auc, "advantage": advantage, **rates}


def _draw(members: np.ndarray, others: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """How often each row stands in a resample, (1, rows): units of either side are drawn again among their own."""
    sides = [np.unique(units, return_inverse=True)[1] for units in (members, others)]
    counts = [int(places.max(initial=-1)) + 1 for places in sides]
    if min(counts) < LEAST_UNITS:
        return
    random = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        drawn = [
            np.bincount(random.integers(count, size=count), minlength=count)[places]
            for count, places in zip(counts, sides, strict=True)
        ]
        yield np.concatenate(drawn)[None].astype(np.float64)


def _interval(parts: list[np.ndarray]) -> list[float] | None:
    return [float(end) for end in np.percentile(np.concatenate(parts), BOUNDS)] if parts else None
