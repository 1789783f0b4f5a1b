"""What a rule makes of one cell."""

import random
import statistics
from typing import Any

import pytest

from shared.masking import transforms
from shared.masking.transforms import Unfit
from worker.formats.columns import MISSING

KEY = bytes(range(32))


def changed(rule: dict[str, Any], cell: str, *, source: random.Random | None = None) -> str:
    change = transforms.of(rule, KEY, source or random.SystemRandom())
    assert change is not None
    return change(cell)


def generalise(**how: Any) -> dict[str, Any]:
    return {"rule": "generalise", **how}


@pytest.mark.parametrize(
    ("rule", "cell", "expected"),
    [
        (generalise(width=10.0), "37", "30"),
        (generalise(width=10.0), "-0.5", "-10"),
        (generalise(width=0.1), "0.37", "0.3"),
        (generalise(width=1000.0), " 1e6 ", "1000000"),
        (generalise(width=1e-12), "1e15", "1e+15"),
        (generalise(edges=[18.0, 30.0, 65.0]), "64.9", "30"),
        (generalise(edges=[18.0, 30.0, 65.0]), "65", "65"),
        (generalise(edges=[18.0, 30.0, 65.0]), "4", "18"),
        (generalise(date="year"), "1987-05-31", "1987-01-01"),
        (generalise(date="month"), "1987-05-31T23:59:59+02:00", "1987-05-01"),
        (generalise(date="month"), "2024-02", "2024-02-01"),
        (generalise(prefix=2), "24103", "24"),
        (generalise(groups={"north": ["Kiel", "Bremen"]}), " Kiel ", "north"),
        (generalise(groups={"north": ["Kiel"]}), "Ulm", "other"),
    ],
)
def test_a_cell_becomes_what_it_belongs_to(rule: dict[str, Any], cell: str, expected: str) -> None:
    assert changed(rule, cell) == expected


@pytest.mark.parametrize(
    ("rule", "cell"),
    [
        (generalise(width=10.0), "canary"),
        (generalise(width=10.0), "1e999"),
        (generalise(width=1e-12), "1e300"),
        (generalise(width=1.5), "-1.7976931348623157e308"),
        (generalise(edges=[1.0]), "canary"),
        (generalise(date="year"), "canary"),
        (generalise(date="year"), "2023-02-30"),
        (generalise(date="year"), "31.12.2023"),
        ({"rule": "noise", "distribution": "laplace", "scale": 1.0, "bounds": [0.0, 1.0]}, "canary"),
    ],
)
def test_a_cell_that_does_not_fit_is_not_quoted(rule: dict[str, Any], cell: str) -> None:
    with pytest.raises(Unfit) as unfit:
        changed(rule, cell)

    assert "expected" in str(unfit.value) and cell not in str(unfit.value)


def test_a_hash_is_the_same_for_the_same_cell_and_key_alone() -> None:
    once, again = (changed({"rule": "hash"}, cell) for cell in ("alice", " alice "))
    other = transforms.pseudonym(bytes(32), "alice")

    # The form cannot change any more: what is equal must be equal in versions that were made before.
    assert once == again == "h-6eefad2bed97b6d93ee663d67a44b460"
    assert changed({"rule": "hash"}, "Alice") != once != other


@pytest.mark.parametrize(("distribution", "spread"), [("laplace", 2**0.5), ("gaussian", 1.0)])
def test_noise_is_about_the_clipped_number_and_as_wide_as_declared(distribution: str, spread: float) -> None:
    rule = {"rule": "noise", "distribution": distribution, "scale": 3.0, "bounds": [0.0, 100.0]}
    change = transforms.of(rule, KEY, random.Random(1))
    assert change is not None

    drawn = [float(change("250")) for _ in range(20_000)]

    assert statistics.fmean(drawn) == pytest.approx(100, abs=0.2)
    assert statistics.pstdev(drawn) == pytest.approx(3 * spread, rel=0.05)


def test_noise_is_drawn_anew_and_has_no_low_bits() -> None:
    rule = {"rule": "noise", "distribution": "laplace", "scale": 4.0, "bounds": [0.0, 1.0]}

    drawn = {changed(rule, "0.123456789") for _ in range(50)}

    assert len(drawn) > 40
    assert all((float(each) * 256).is_integer() for each in drawn)


def test_missing_is_what_the_readers_of_tables_call_so() -> None:
    assert set(MISSING.to_pylist()) == transforms.MISSING
