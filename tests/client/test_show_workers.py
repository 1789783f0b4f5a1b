"""The table of the workers, as a person reads it."""

from typing import Any

import pytest
from etude import show_service

WORKER: dict[str, Any] = {
    "name": "train-1@here", "queue": "train", "state": "idle", "started_at": "2026-01-02T03:04:05Z",
    "beat_at": "2026-01-02T03:04:05Z", "containment": "landlock", "job": None,
}  # fmt: skip
CARDS = [{"index": index, "name": "H100", "used_bytes": index * 2**29, "total_bytes": 80 * 2**30} for index in (0, 1)]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"devices": CARDS}, "0: 0.0 of 80 GiB, 1: 0.5 of 80 GiB"),
        ({"devices": []}, "–"),
        # A service of the version before.
        ({}, "–"),
    ],
)
def test_the_memory_of_each_card_is_told(told: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_service.workers([{**WORKER, **told}])

    header, row = capsys.readouterr().out.splitlines()
    assert header.split()[-1] == "cards"
    assert row.rstrip().endswith(f" {said}")
