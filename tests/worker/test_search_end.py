"""The expected gain of a further hour, beside what further draws do gain."""

import numpy as np
import pytest

from worker import search_end


@pytest.mark.parametrize("seed", range(3))
def test_of_an_exponential_tail_the_gain_is_what_further_draws_bring(seed: int) -> None:
    random = np.random.default_rng(seed)
    foretold, gained = [], []
    for _ in range(300):
        values = random.exponential(0.02, 60)
        # As many again in an hour.
        found = search_end.outlook(list(values[:30]), tried=30, better="higher", elapsed_s=3600)
        assert found is not None and found.trials == pytest.approx(30)
        foretold.append(found.gain)
        gained.append(values.max() - values[:30].max())

    assert np.mean(foretold) == pytest.approx(np.mean(gained), rel=0.25)


def test_lower_values_are_better_where_the_metric_says_so() -> None:
    values = [0.5 + 0.01 * number for number in range(20)]

    higher = search_end.outlook(values, tried=20, better="higher", elapsed_s=60)
    lower = search_end.outlook([-value for value in values], tried=20, better="lower", elapsed_s=60)

    assert higher is not None and higher == lower


def test_nothing_is_said_of_too_few_and_no_gain_of_equals() -> None:
    assert search_end.outlook([0.5] * 9, tried=30, better="higher", elapsed_s=60) is None
    assert search_end.outlook([0.5] * 10, tried=30, better="higher", elapsed_s=0) is None
    found = search_end.outlook([0.5] * 10, tried=30, better="higher", elapsed_s=60)
    assert found is not None and found.gain == 0


def test_a_slower_search_gains_less_in_an_hour() -> None:
    values = list(np.random.default_rng(0).normal(size=30))

    fast, slow = (search_end.outlook(values, tried=30, better="higher", elapsed_s=each) for each in (60.0, 36_000.0))

    assert fast is not None and slow is not None and fast.gain > slow.gain > 0
