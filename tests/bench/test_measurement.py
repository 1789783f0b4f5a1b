"""The arithmetic of a comparison, and the page that keeps what was not measured again."""

import math

import pytest

from bench import results
from bench.measurement import MeasurementBroken, compare
from bench.modules import discover

PAIRS = [(30.0, 10.0), (10.0, 5.0), (8.0, 8.0)]


def test_the_ratio_is_the_median_of_the_rounds_ratios_and_not_the_ratio_of_medians() -> None:
    row = compare("requests", PAIRS, unit="requests/s", bar="≥ 1.2")

    assert (row.ours, row.peer, row.ratio, row.spread) == (10.0, 8.0, 2.0, (1.0, 3.0))


def test_a_speed_up_in_seconds_is_the_peers_time_to_ours() -> None:
    row = compare("seconds", [(2.0, 10.0)], unit="s", bar="≥ 5", is_speedup=True)

    assert row.ratio == 5.0


@pytest.mark.parametrize(("bar", "is_met"), [("≥ 2", True), ("≥ 2.1", False), ("≤ 2", True), ("≤ 1.9", False)])
def test_a_bar_says_on_which_side_of_it_the_ratio_must_be(bar: str, is_met: bool) -> None:
    assert compare("any", PAIRS, unit="s", bar=bar).is_met is is_met


@pytest.mark.parametrize("pairs", [[], [(0.0, 1.0)], [(1.0, math.nan)], [(math.inf, 1.0)]])
def test_a_figure_that_cannot_have_been_measured_is_refused(pairs: list[tuple[float, float]]) -> None:
    with pytest.raises(MeasurementBroken):
        compare("any", pairs, unit="s", bar="≥ 1")


def test_the_page_replaces_a_modules_rows_and_keeps_the_others_with_their_day() -> None:
    slow = compare("poll", [(1.0, 2.0)], unit="requests/s", bar="≥ 1.2")
    fast = compare("poll", [(6.0, 2.0)], unit="requests/s", bar="≥ 1.2", note="p50 | p99")
    first = results.render("", {"door": [slow], "memory": [slow]}, at="Monday", rounds=5)

    page = results.render(first, {"door": [fast]}, at="Tuesday", rounds=1)

    rows = [line for line in page.splitlines() if line.startswith("| ") and line not in results.HEAD]
    assert len(rows) == 2
    assert "| door | poll | 6 | 2 | requests/s | 3 | 3 – 3 | ≥ 1.2 | yes | Tuesday, 1× | p50 / p99 |" in rows
    assert "| **no** | Monday, 5× |" in rows[1]


def test_only_what_measures_is_run() -> None:
    assert {"textbook", "door", "latency"} <= set(discover())
    assert not {"measurement", "results", "modules", "service", "load"} & set(discover())
