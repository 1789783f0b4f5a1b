"""Where a trial is compared with those that have come as far: by the best validation loss up to a rung."""

import math
from collections.abc import Callable, Mapping, Sequence

from shared.tuning_params import Halving
from worker.sampling import rungs

# How many rungs lie before the last epoch where none is named. That epoch is a bound which is rarely met: most
# trainings stop early, between the last two rungs.
USUAL_RUNGS = 4

# The losses at the rungs that were reached, and the first rung.
IsHopeless = Callable[[dict[int, float], int], bool]


class GivenUp(Exception):
    """The trial is not among the best that have come so far."""

    def __init__(self, epochs: int) -> None:
        super().__init__(epochs)
        self.epochs = epochs


class Rungs:
    """Sees every epoch of a trial; at a rung asks whether it shall go on. Raises GivenUp."""

    def __init__(self, halving: Halving, is_hopeless: IsHopeless, *, seen: Mapping[int, float]) -> None:
        self._halving, self._is_hopeless = halving, is_hopeless
        self.seen = dict(seen)
        self._best = math.inf

    def next_after(self, epoch: int, total: int) -> int | None:
        """The next rung of a training of so many epochs; None after the last."""
        return next((rung for rung in self._places(total) if rung > epoch), None)

    def see(self, epochs: Sequence[Mapping[str, float]], total: int) -> None:
        """Take the metrics of the epochs just done; what a resumed training tells again counts once."""
        places = self._places(total)
        for each in epochs:
            self._best = min(self._best, each.get("val_loss", math.inf))
            epoch = int(each["epoch"])
            if epoch not in places or epoch in self.seen or not math.isfinite(self._best):
                continue
            self.seen[epoch] = self._best
            if self._is_hopeless(dict(self.seen), places[0]):
                raise GivenUp(epoch)

    def _places(self, total: int) -> list[int]:
        """Rungs before the last epoch: one that is about to end is not given up."""
        least = self._halving.least_epochs or max(1, total // self._halving.factor**USUAL_RUNGS)
        return rungs(least, self._halving.factor, total - 1)
