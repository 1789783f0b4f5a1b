"""Decisions as clients send them: CSV that is none, labels that a dataset cannot hold."""

from typing import Any

import pytest

from shared.audits import Decision
from shared.errors import Fault, InvalidRequest, TooLarge
from web import decision_lists
from web.decision_lists import Judge, Wanted

Json = dict[str, Any]
ONE = {"columns": ["genre"], "separator": None, "has_several": False, "labels": ["jazz", "pop", "rock"]}
SEVERAL = {**ONE, "separator": ";", "has_several": True}
FLAGS = {**ONE, "columns": ["jazz", "pop", "rock"], "has_several": True}
TYPES = {"genre": "text", "year": "integer", "live": "boolean"}
RANKED = {"row": 2, "given": "rock", "suggested": "pop"}
RANKED_SEVERAL = {"row": 2, "given": ["rock"], "suggested": ["pop"]}


def read(content: str | bytes) -> list[Wanted]:
    encoded = content if isinstance(content, bytes) else content.encode()
    return decision_lists.of_csv(encoded, has_several=False, separator=None)


def settle(target: Json, decision: str, label: Any = None) -> Decision | Fault:
    ranked = RANKED_SEVERAL if target["has_several"] else RANKED
    return Judge(target, TYPES).settle(Wanted(decision, label, 2, None), ranked)


@pytest.mark.parametrize(
    "content",
    [
        "", "row,verdict\n1,accept\n", "decision,label\naccept,pop\n", "row,decision\n1,perhaps\n",
        "row,decision\n-1,accept\n", "row,decision\n1e3,accept\n", "row,decision\n,accept\n",
        b"row,decision\n\xff\xfe,accept\n", "row,decision\n\0,accept\n",
        'row,decision\n"' + "a" * 200_000 + '",accept\n',
    ],
    ids=range(10),
)  # fmt: skip
def test_a_csv_that_is_none_is_refused(content: str | bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(content)

    assert refused.value.code == "decisions_invalid"


def test_every_line_that_is_wrong_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read("row,decision\n1,accept\n2,perhaps\nx,reject\n")

    assert [fault.row for fault in refused.value.faults] == [3, 4]


@pytest.mark.parametrize("word", ["accept", "perhaps"])
def test_more_lines_than_are_ranked_are_too_many(word: str) -> None:
    with pytest.raises(TooLarge) as refused:
        read("row,decision\n" + f"5,{word}\n" * (decision_lists.MOST + 1))

    assert refused.value.code == "too_many_decisions"


def test_a_spreadsheets_csv_is_read_whatever_stands_between_its_cells() -> None:
    content = "\ufeffKey;Given;Decision;Label\r\nsong 1;pop; Accept ;rock\r\nsong 2;pop;;\r\nsong 3;pop;reject\r\n"

    found = read(content)

    assert [(each.name, each.decision, each.label) for each in found] == [
        ("song 1", "accept", "rock"), ("song 3", "reject", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "decision", "label", "code"),
    [
        (ONE, "accept", "rock", "label_unfit"), (ONE, "accept", ["pop"], "label_unfit"),
        (ONE, "accept", " pop", "label_unfit"), (ONE, "accept", "p\nop", "label_unfit"),
        (ONE, "accept", "p" * 256, "label_unfit"), (ONE, "reject", "pop", "label_unfit"),
        ({**ONE, "columns": ["year"]}, "accept", "1.5", "label_unfit"),
        ({**ONE, "columns": ["live"]}, "accept", "yes", "label_unfit"),
        (SEVERAL, "accept", "pop", "label_unfit"), (SEVERAL, "accept", ["po;p"], "label_unfit"),
        (SEVERAL, "accept", [], "label_unfit"), (FLAGS, "accept", ["soul"], "label_unknown"),
    ],
)  # fmt: skip
def test_labels_that_a_dataset_cannot_hold_are_faults(target: Json, decision: str, label: Any, code: str) -> None:
    fault = settle(target, decision, label)

    assert isinstance(fault, Fault) and fault.code == code


@pytest.mark.parametrize(
    ("target", "label", "kept"),
    [
        (ONE, None, "pop"), (ONE, "soul", "soul"), ({**ONE, "columns": ["year"]}, "1999", "1999"),
        ({**ONE, "columns": ["live"]}, "false", "false"), (SEVERAL, ["soul", "rock"], ["soul", "rock"]),
        (FLAGS, [], []), (FLAGS, None, ["pop"]),
    ],
)  # fmt: skip
def test_other_labels_are_kept_and_the_suggested_one_where_none_is_named(target: Json, label: Any, kept: Any) -> None:
    assert settle(target, "accept", label) == Decision(2, "accept", kept)


def test_rows_are_found_by_number_and_by_key_in_lines_that_come_in_blocks() -> None:
    lines = b"".join(b'{"row": %d, "key": "song %d"}\n' % (row, row) for row in range(30))
    blocks = [lines[start : start + 7] for start in range(0, len(lines), 7)]
    wanted = [
        Wanted("reject", None, 3, None),
        Wanted("reject", None, None, "song 20"),
        Wanted("reject", None, 99, None),
    ]

    found = decision_lists.find(blocks, wanted)

    assert found == {3: {"row": 3, "key": "song 3"}, "song 20": {"row": 20, "key": "song 20"}}


def test_a_key_that_several_rows_have_names_none() -> None:
    lines = b'{"row": 1, "key": "a"}\n{"row": 2, "key": "a"}\n{"row": 3, "key": "b"}\n'
    wanted = [Wanted("reject", None, None, "a"), Wanted("reject", None, None, "b"), Wanted("reject", None, 1, None)]

    assert set(decision_lists.find([lines], wanted)) == {"b", 1}
