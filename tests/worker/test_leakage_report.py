"""What is told of rows that stand on both sides of a split."""

from pathlib import Path
from typing import Any

import numpy as np

from shared.kinds import KINDS
from tests.worker.canonical import write
from worker import kinds
from worker.kinds.protocol import Prepared

ROWS = 100


def prepared(folder: Path, x: np.ndarray, names: list[str], **roles: Any) -> Prepared:
    columns = {f"f{place}": values for place, values in enumerate(x.T)}
    columns |= {
        "id": names,
        "genre": ["a", "a", "b", "b"] * (len(x) // 4),
        "band": [f"b{r // 2}" for r in range(len(x))],
    }
    kind, params = kinds.find("classification"), KINDS["classification"].ACTIONS["train"].model_validate({})
    drop = [] if "group" in roles else ["band"]
    return kind.data.prepare(
        kind.data.load(*write(folder, columns, target=["genre"], id="id", drop=drop, **roles), params), params
    )


def planted() -> np.ndarray:
    """Each row a second time, half of the table away and slightly noised."""
    random = np.random.default_rng(0)
    once = random.normal(size=(ROWS, 6))
    return np.concatenate([once, once + random.normal(scale=1e-3, size=once.shape)])


def test_copies_under_other_names_are_reported_with_their_rows(tmp_path: Path) -> None:
    for roles in ({}, {"group": "band"}):
        found = prepared(tmp_path, planted(), [f"{row:x}-{row * 7919:x}" for row in range(2 * ROWS)], **roles)

        report = found.leakage["found"]["near_rows"]
        assert found.leakage["suspected"] is True and report["share"] > 0.5
        assert report["pairs"] and all(abs(one - other) == ROWS for one, other in report["pairs"])
        assert {one for one, _ in report["pairs"]} <= set(found.train_rows.tolist())
        assert {other for _, other in report["pairs"]} <= set(found.validation_rows.tolist())
        assert "leakage_suspected" in [caution.code for caution in found.cautions]


def test_a_name_on_both_sides_is_reported(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(ROWS, 6))

    found = prepared(tmp_path, x, [f"{row % 50:x}" for row in range(ROWS)])

    assert found.leakage["suspected"] is True and found.leakage["found"]["ids"] > 0


def test_of_independent_rows_it_is_told_what_was_looked_for_and_nothing_found(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(ROWS, 6))

    found = prepared(tmp_path, x, [f"{row:x}-{row * 7919:x}" for row in range(ROWS)], group="band")

    assert found.leakage == {
        "suspected": False,
        "checked": ["equal_rows", "groups", "ids", "near_rows"],
        "found": {
            "equal_rows": 0, "warnings": [], "ids": 0, "groups": 0, "near_rows": {"share": 0.0, "pairs": []},
        },
    }  # fmt: skip
