"""JSON Lines that any JSON reader reads back, and an index that finds their pages."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from worker import lines
from worker.lines import Lines

AWKWARD = [
    "",
    "plain",
    'say "no"',
    "back\\slash",
    "line\nfeed\ttab\r",
    "\x00\x01\x1f",
    "日本 é 🎵",
    "</script>",
    "\u2028",
]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([*AWKWARD, None]), [*AWKWARD, None]),
        (pa.array([*AWKWARD, None]).dictionary_encode(), [*AWKWARD, None]),
        (pa.array([AWKWARD, [], ["rock"]]), [AWKWARD, [], ["rock"]]),
        (pa.array([0, -1, 2**63 - 1, None]), [0, -1, 2**63 - 1, None]),
        (pa.array([True, False, None]), [True, False, None]),
        (pa.array([0.1, -1e300, 5e-324, 1.0, None, np.nan, np.inf]), [0.1, -1e300, 5e-324, 1.0, None, None, None]),
    ],
)
def test_every_cell_reads_back_as_it_was(array: pa.Array, expected: list[Any]) -> None:
    encoded = lines.encode({"cell": array})

    assert [json.loads(line)["cell"] for line in encoded.to_pylist()] == expected


def test_a_float32_prints_as_short_as_it_reads_back() -> None:
    values = np.random.default_rng(0).random(1000, np.float32)

    read = [json.loads(line)["p"] for line in lines.encode({"p": pa.array(values)}).to_pylist()]

    np.testing.assert_array_equal(np.array(read, np.float32), values)
    assert lines.encode({"p": pa.array([0.8], pa.float32())}).to_pylist() == ['{"p": 0.8}\n']


def test_a_mapping_is_an_object_and_names_are_escaped() -> None:
    rows = {"key": pa.array([1]), "probabilities": {'ro"ck': pa.array([0.5]), "é": pa.array([0.25])}, "columns": {}}

    assert json.loads(lines.encode(rows).to_pylist()[0]) == {
        "key": 1, "probabilities": {'ro"ck': 0.5, "é": 0.25}, "columns": {},
    }  # fmt: skip


def test_parts_of_arrays_are_encoded_as_parts() -> None:
    whole = {"a": pa.array([str(row) for row in range(9)]), "b": pa.array([[str(row)] * row for row in range(9)])}

    part = lines.encode({name: array.slice(3, 4) for name, array in whole.items()})

    assert part.to_pylist() == lines.encode(whole).to_pylist()[3:7]


@pytest.mark.parametrize("chunks", [[], [0], [1], [99], [100], [101], [50, 50, 1], [250, 0, 3, 97, 100], [65_536]])
def test_the_index_finds_each_hundredth_line_and_the_end(tmp_path: Path, chunks: list[int]) -> None:
    path, first = tmp_path / "rows.jsonl", 0

    with Lines(path) as file:
        for rows in chunks:
            file.write({"row": pa.array(np.arange(first, first + rows))})
            first += rows

    content = path.read_bytes()
    index = np.fromfile(tmp_path / "rows.index", "<u8").tolist()
    assert [json.loads(content[at:].partition(b"\n")[0])["row"] for at in index[:-1]] == list(range(0, first, 100))
    assert index[-1] == len(content)
    assert content.count(b"\n") == first
