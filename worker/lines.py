"""JSON Lines built by Arrow, a chunk of rows at a time, and the index by which a page of them is found.

Arrow lays a string column out as one buffer with offsets: the joined lines are the file's bytes as they are.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# A web process seeks to every so manieth line and reads on from there.
INDEX_STEP = 100
COPIED_BYTES = 1024 * 1024

Field: TypeAlias = pa.Array | Mapping[str, pa.Array]


class Lines:
    """A JSON Lines file and its index: little-endian uint64 offsets of each 100th line, and of the file's end."""

    def __init__(self, path: Path) -> None:
        self._file, self._index = path.open("wb"), path.with_suffix(".index").open("wb")
        self.rows = 0
        self._size = 0

    def write(self, rows: Mapping[str, Field]) -> None:
        """Add a chunk; every field has one entry a row."""
        content, offsets = _bytes(rows)
        self._file.write(content)
        self._mark(offsets)

    def append(self, lines: IO[bytes], lengths: np.ndarray) -> None:
        """Add lines that are written already, each of so many bytes."""
        shutil.copyfileobj(lines, self._file, COPIED_BYTES)
        self._mark(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    def _mark(self, offsets: np.ndarray) -> None:
        indexed = offsets[:-1][-self.rows % INDEX_STEP :: INDEX_STEP] + self._size
        self._index.write(indexed.astype("<u8").tobytes())
        self.rows += len(offsets) - 1
        self._size += int(offsets[-1])

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self._index.write(np.array([self._size], "<u8").tobytes())
        self._index.close()
        self._file.close()


class LooseLines:
    """JSON Lines that will be appended to others: the lines, and the length of each as little-endian uint32."""

    def __init__(self, path: Path) -> None:
        self._file, self._lengths = path.open("wb"), path.with_suffix(".lengths").open("wb")

    def write(self, rows: Mapping[str, Field]) -> None:
        """Add a chunk; every field has one entry a row."""
        content, offsets = _bytes(rows)
        self._file.write(content)
        self._lengths.write(np.diff(offsets).astype("<u4").tobytes())

    def __enter__(self) -> "LooseLines":
        return self

    def __exit__(self, *_: object) -> None:
        self._lengths.close()
        self._file.close()


class JsonLines:
    """The same two files, written a line at a time."""

    def __init__(self, path: Path) -> None:
        self._file, self._index = path.open("wb"), path.with_suffix(".index").open("wb")
        self.rows = self._size = 0

    def write(self, line: str) -> None:
        """Add a line of JSON, without its line feed."""
        if self.rows % INDEX_STEP == 0:
            self._mark()
        content = f"{line}\n".encode()
        self._file.write(content)
        self.rows, self._size = self.rows + 1, self._size + len(content)

    def _mark(self) -> None:
        self._index.write(self._size.to_bytes(8, "little"))

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(self, *_: object) -> None:
        self._mark()
        self._index.close()
        self._file.close()


def _bytes(rows: Mapping[str, Field]) -> tuple[Any, np.ndarray]:
    """The lines as one buffer, and where each begins; int64 (rows + 1,)."""
    lines = encode(rows)
    offsets = np.frombuffer(lines.buffers()[1], np.int64)[: len(lines) + 1]
    return lines.buffers()[2][: int(offsets[-1])], offsets


def encode(rows: Mapping[str, Field]) -> pa.Array:
    """One JSON object and a line feed a row, as large_string; a mapping becomes an object within the object."""
    pieces: list[pa.Array | str] = []
    for place, (name, field) in enumerate(rows.items()):
        pieces.append(f"{', ' if place else '{'}{json.dumps(name, ensure_ascii=False)}: ")
        pieces += _object(field) if isinstance(field, Mapping) else [_value(field)]
    return _joined([*pieces, "}\n"])


def _object(fields: Mapping[str, pa.Array]) -> list[pa.Array | str]:
    pieces: list[pa.Array | str] = []
    for place, (name, array) in enumerate(fields.items()):
        pieces += [f"{', ' if place else '{'}{json.dumps(name, ensure_ascii=False)}: ", _value(array)]
    return [*pieces, "}"] if pieces else ["{}"]


def _value(array: pa.Array) -> pa.Array:
    """Each cell as JSON text; an empty cell is null."""
    if pa.types.is_dictionary(array.type):
        return _or_null(_value(array.dictionary).take(array.indices))
    if pa.types.is_list(array.type):
        quoted = pa.ListArray.from_arrays(array.offsets, _value(array.values).cast(pa.large_string()))
        joined = _joined(["[", pc.binary_join(quoted, pa.scalar(", ", pa.large_string())), "]"])
        return _or_null(pc.if_else(array.is_valid(), joined, None)) if array.null_count else joined
    if pa.types.is_large_string(array.type):
        # JSON already; a client's own texts are never large strings.
        return _or_null(array)
    if pa.types.is_string(array.type):
        return _or_null(_joined(['"', escaped(array), '"']))
    texts = array.cast(pa.string())
    if pa.types.is_floating(array.type) and not pc.all(pc.is_finite(array)).as_py():
        texts = pc.if_else(pc.is_finite(array), texts, None)  # JSON has no infinity
    return _or_null(texts)


def _or_null(texts: pa.Array) -> pa.Array:
    return texts.fill_null("null") if texts.null_count else texts


def escaped(texts: pa.Array) -> pa.Array:
    """Text as it stands between JSON's quotes."""
    if not pc.any(pc.match_substring_regex(texts, r'[\x00-\x1f"\\]')).as_py():
        return texts
    texts = pc.replace_substring(pc.replace_substring(texts, "\\", "\\\\"), '"', '\\"')
    for code in range(0x20):
        texts = pc.replace_substring(texts, chr(code), json.dumps(chr(code))[1:-1])
    return texts


def _joined(pieces: list[pa.Array | str]) -> pa.Array:
    # The lines of one chunk may pass 2 GB when long texts are repeated; only 64-bit offsets hold them.
    wide = [
        pa.scalar(each, pa.large_string()) if isinstance(each, str) else each.cast(pa.large_string()) for each in pieces
    ]
    return pc.binary_join_element_wise(*wide, pa.scalar("", pa.large_string()))
