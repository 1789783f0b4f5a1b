"""A page of rows out of a JSON Lines file in storage, found by its index: only the page's own bytes are read."""

import json
from dataclasses import dataclass
from typing import Any

from shared.storage import Storage
from web.requests import RowsPage

# The index has the byte offset of every hundredth row, then the size of the file; eight bytes each, little-endian.
ROWS_A_MARK = 100
MARK_BYTES = 8


@dataclass(frozen=True)
class LinesPlace:
    """Where the lines and their index lie, and how many there are."""

    lines_key: str
    index_key: str
    index_bytes: int
    total: int


def read(storage: Storage, place: LinesPlace, query: RowsPage) -> dict[str, Any]:
    """Rows from the cursor on, as the answer of a call."""
    total = place.total
    if query.cursor >= total:
        return {"data": [], "next_cursor": None, "total": total}
    upto = min(query.cursor + query.limit, total)
    first_mark = query.cursor // ROWS_A_MARK
    start, end = _span(storage, place, first_mark, -(-upto // ROWS_A_MARK))
    text = b"".join(storage.stream(place.lines_key, start=start, length=end - start))
    skipped = query.cursor - first_mark * ROWS_A_MARK
    rows: list[Any] = [json.loads(line) for line in text.split(b"\n")[skipped : skipped + upto - query.cursor]]
    return {"data": rows, "next_cursor": str(upto) if upto < total else None, "total": total}


def _span(storage: Storage, place: LinesPlace, first_mark: int, last_mark: int) -> tuple[int, int]:
    last_mark = min(last_mark, place.index_bytes // MARK_BYTES - 1)
    length = (last_mark - first_mark + 1) * MARK_BYTES
    marks = b"".join(storage.stream(place.index_key, start=first_mark * MARK_BYTES, length=length))
    return int.from_bytes(marks[:MARK_BYTES], "little"), int.from_bytes(marks[-MARK_BYTES:], "little")
