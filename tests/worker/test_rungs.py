"""Where a trial is compared: at its rungs, once each, by its best loss so far, and not just before its end."""

import math

import pytest

from shared.tuning_params import Halving
from worker.rungs import GivenUp, Rungs


def epochs(first: int, last: int, loss: float = 0.5) -> list[dict[str, float]]:
    return [{"epoch": float(number), "val_loss": loss} for number in range(first, last + 1)]


class Asked:
    """Remembers what it was asked."""

    def __init__(self, *hopeless: int) -> None:
        self.seen: list[dict[int, float]] = []
        self._hopeless = hopeless

    def __call__(self, seen: dict[int, float], least_epochs: int) -> bool:
        self.seen.append(seen)
        return max(seen) in self._hopeless


def test_it_is_asked_at_each_rung_with_the_best_loss_until_then() -> None:
    asked = Asked()
    rungs = Rungs(Halving(factor=3, least_epochs=2), asked, seen={})

    rungs.see([*epochs(1, 1, 0.3), *epochs(2, 5, 0.4)], 40)
    rungs.see(epochs(6, 20, 0.2), 40)

    assert asked.seen == [{2: 0.3}, {2: 0.3, 6: 0.2}, {2: 0.3, 6: 0.2, 18: 0.2}]


def test_a_hopeless_one_is_given_up() -> None:
    rungs = Rungs(Halving(factor=3, least_epochs=2), Asked(6), seen={})

    with pytest.raises(GivenUp) as given_up:
        rungs.see(epochs(1, 30), 40)

    assert given_up.value.epochs == 6


def test_what_a_resumed_training_tells_again_is_not_asked_again() -> None:
    asked = Asked(2)
    rungs = Rungs(Halving(factor=3, least_epochs=2), asked, seen={2: 0.4})

    rungs.see(epochs(1, 6), 40)

    assert [max(each) for each in asked.seen] == [6]


def test_epochs_without_a_finite_loss_are_not_compared() -> None:
    asked = Asked(2, 6)
    rungs = Rungs(Halving(factor=3, least_epochs=2), asked, seen={})

    rungs.see([{"epoch": 1.0}, {"epoch": 2.0, "val_loss": math.inf}], 40)

    assert asked.seen == []


@pytest.mark.parametrize(
    ("halving", "total", "places"),
    [
        (Halving(), 300, [3, 9, 27, 81, 243]),
        (Halving(), 81, [1, 3, 9, 27]),
        (Halving(factor=2), 32, [2, 4, 8, 16]),
        (Halving(least_epochs=50), 40, []),
        (Halving(), 1, []),
    ],
)
def test_the_next_rung_is_one_before_the_end(halving: Halving, total: int, places: list[int]) -> None:
    rungs, found, at = Rungs(halving, Asked(), seen={}), [], 0

    while (following := rungs.next_after(at, total)) is not None:
        found.append(following)
        at = following

    assert found == places
