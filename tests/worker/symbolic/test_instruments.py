"""The names of programs."""

from worker.symbolic.instruments import NAMES


def test_every_program_has_a_name() -> None:
    assert len(NAMES) == 128
    assert (NAMES[0], NAMES[19], NAMES[40], NAMES[52], NAMES[73]) == (
        "Acoustic Grand Piano", "Church Organ", "Violin", "Choir", "Flute",
    )  # fmt: skip
    assert all(NAMES)
