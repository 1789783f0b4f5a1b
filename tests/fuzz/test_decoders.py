"""The short form of `make fuzz`: some nearly good files of every sort, always the same ones."""

from pathlib import Path

import pytest

from tests.fuzz import decoders
from tests.fuzz.decoders import Tried


@pytest.mark.parametrize(
    ("attempt", "count"),
    [(decoders.try_tables, 6), (decoders.try_recordings, 40), (decoders.try_pieces, 100)],
    ids=["tables", "recordings", "pieces"],
)
def test_what_is_nearly_good_is_read_or_refused_by_name(tmp_path: Path, attempt: object, count: int) -> None:
    tried = Tried()

    attempt(tmp_path, count, 1, tried)  # type: ignore[operator]

    assert tried.codes.total() >= count
    assert not tried.ended, [(name, code) for name, _, code in tried.ended]
