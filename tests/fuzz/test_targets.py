"""What is led by coverage takes what is good, and refuses what is cut, by name; Atheris itself is not needed here."""

import pytest

from tests.fuzz import seeds
from tests.fuzz.targets import TARGETS


def test_every_target_has_what_it_begins_from() -> None:
    assert seeds.GUIDED.keys() == TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_good_is_taken_and_what_is_not_is_refused_by_name(name: str) -> None:
    take, first = TARGETS[name], seeds.GUIDED[name]()

    assert take(first[0])
    # None of these may raise, and of nothing at all nothing is taken.
    for content in first:
        take(content)
        take(content[: len(content) // 2])
        take(content[::-1])
    assert not take(b"")
