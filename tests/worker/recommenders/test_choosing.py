"""The search for settings: which are tried, and where it ends."""

import math
from typing import Any

from worker.recommenders import choosing
from worker.recommenders.choosing import Ladder

Json = dict[str, Any]


def search(begin: Json, ladders: list[Ladder], value: Any) -> tuple[Json, list[Json]]:
    tried: list[Json] = []

    def judge(settings: Json) -> float:
        if settings not in tried:
            tried.append(settings)
        return float(value(settings))

    return choosing.choose(begin, ladders, judge), tried


def test_one_setting_after_the_other_is_moved_to_its_best() -> None:
    ladders = [Ladder("a", (1, 2, 3)), Ladder("b", ("x", "y"))]

    best, tried = search({"a": 2, "b": "x"}, ladders, lambda each: each["a"] + 5 * (each["b"] == "y"))

    assert best == {"a": 3, "b": "y"}
    assert len(tried) == choosing.count(ladders, {"a": 2, "b": "x"}) == 4


def test_beyond_an_end_it_goes_on_while_that_helps() -> None:
    best, tried = search({"l2": 10.0}, [Ladder("l2", (10.0, 20.0), 2.0)], lambda each: -abs(math.log2(each["l2"] / 80)))

    assert best == {"l2": 80.0}
    assert [each["l2"] for each in tried] == [10, 20, 40, 80, 160]


def test_below_as_well() -> None:
    best, _ = search({"l2": 10.0}, [Ladder("l2", (10.0, 20.0), 2.0)], lambda each: -each["l2"])

    assert best == {"l2": 10.0 / 2**choosing.FURTHER}


def test_among_equals_the_first_stays() -> None:
    assert search({"a": 2}, [Ladder("a", (1, 2, 3))], lambda each: 0.0)[0] == {"a": 2}
