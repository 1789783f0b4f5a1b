"""How well one can tell by the networks of the folds which rows each has learned from.

After folds there is no row left that the model itself has not learned from. But a network of a fold has left some out,
and has learned as the model does: in each fold what has trained is told from what was held out. So what is attacked is
the way of training, with a fold less to learn from.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shared.table_params import TableTraining
from worker import membership
from worker.kinds.protocol import Prepared
from worker.membership import Json, Ladder, Losses
from worker.networks import NetworkSpec

ATTACK = "loss threshold against the networks of the folds (Yeom et al. 2018)"
ASIDE = "attacked were the networks of the folds, which have learned from fewer rows than the version itself"
CHOSEN = "each is that of the epoch that suited the others best, which makes them a little like members"


@dataclass(frozen=True)
class Attacked:
    """One fold: the losses of its network on either side, and every unit that it has held out."""

    members: Losses
    others: Losses
    held_out: np.ndarray


def attack(fold: Prepared, network: NetworkSpec, weights: dict[str, np.ndarray], *, seed: int) -> Attacked:
    """What the network of a fold gives away: its losses on rows that have trained it, and on those that have not."""
    if fold.validation_groups is None:
        # Alone a row is a unit that is to be known again in the other folds.
        fold = replace(fold, validation_groups=fold.validation_rows, train_groups=fold.train_rows)
    assert fold.validation_groups is not None
    return Attacked(*membership.losses(fold, fold, network, weights, seed=seed), np.unique(fold.validation_groups))


def report(folds: Sequence[Attacked], *, unit: str, params: TableTraining, check: Callable[[], None]) -> Json:
    """The report of all folds: each figure is the mean over them, and of either side there are so many in each."""
    figures = membership.measure(
        [Ladder.of(fold.members, fold.others) for fold in folds], _draw(folds, params.seed), check=check
    )
    members, others = (min(len(side.values) for side in sides) for sides in zip(*map(_sides, folds), strict=True))
    return {
        **membership.conclude(figures, members=members, others=others, attack=ATTACK),
        "unit": unit,
        "non_members": f"{unit}s that the fold held out",
        "folds": len(folds),
        "caution": ASIDE if params.stopping is None else f"{ASIDE}, and {CHOSEN}",
    }


def _sides(fold: Attacked) -> tuple[Losses, Losses]:
    return fold.members, fold.others


def _draw(folds: Sequence[Attacked], seed: int) -> Iterator[list[np.ndarray]]:
    """How often each row of each fold stands in a resample, (1, rows) each.

    A unit is held out once, and trains the networks of all other folds: wherever it stands, it counts as often. Units
    are drawn among those of their fold, so that none is left without.
    """
    if min(len(fold.held_out) for fold in folds) < membership.LEAST_UNITS:
        return
    units, random = np.unique(np.concatenate([fold.held_out for fold in folds])), np.random.default_rng(seed)
    strata = [np.searchsorted(units, fold.held_out) for fold in folds]
    places = [np.searchsorted(units, np.concatenate([fold.members.units, fold.others.units])) for fold in folds]
    for _ in range(membership.RESAMPLES):
        times = np.zeros(len(units))
        for stratum in strata:
            np.add.at(times, random.choice(stratum, len(stratum)), 1.0)
        yield [times[place][None] for place in places]
