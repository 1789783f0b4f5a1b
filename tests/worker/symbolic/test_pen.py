"""Lines of text that fit, and colours mixed with white."""

import pytest

from worker.symbolic import pen


def test_a_line_that_has_room_stays_as_it_is() -> None:
    assert pen.fitting("Soprano", 13, room=200) == "Soprano"


@pytest.mark.parametrize("said", ["A rather long name of a part", "Wide " * 1000])
def test_a_line_without_room_is_cut_and_says_so(said: str) -> None:
    fitting = pen.fitting(said, 13, room=80)

    assert fitting.endswith("…") and said.startswith(fitting[:-1])
    assert pen.wide(fitting, 13) <= 80


@pytest.mark.parametrize(("share", "colour"), [(0, "#204060"), (0.5, "#90A0B0"), (1, "#FFFFFF")])
def test_a_colour_is_mixed_with_white(share: float, colour: str) -> None:
    assert pen.mixed("#204060", share) == colour
