"""A file that is masked by a real child while it comes in."""

import csv
import io
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared import pseudonyms
from shared.errors import BadRequest, EtudeError, InvalidRequest, TooLarge, Unavailable
from shared.masking import door, transforms
from shared.masking.plan import Plan
from worker.interactions import roles

KEY = bytes(range(32))
PLAN = Plan(
    {"mail": {"rule": "drop"}, "account": {"rule": "hash"}, "age": {"rule": "generalise", "width": 10.0}}, KEY.hex()
)
PLAYS = Plan({}, listeners={}, listeners_key=KEY.hex())
CANARY = "canary-7f3a"
HEAD = b"mail,account,age\n"


def masked(content: bytes, plan: Plan = PLAN, *, block: int = 1 << 20) -> bytes:
    blocks = (content[first : first + block] for first in range(0, len(content), block))
    with door.opened(plan, blocks) as out:
        return b"".join(out)


def children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_columns_are_masked_and_the_rest_stays() -> None:
    out = masked(b'\xef\xbb\xbfmail, account ,age,note\r\nm@x,alice,37,"a, ""b""\r\nc"\r\n,NA,,\xc3\xa9\r\n')

    rows = list(csv.reader(io.StringIO(out.decode(), newline="")))
    alice = transforms.pseudonym(KEY, "alice")
    assert rows == [["account", "age", "note"], [alice, "30", 'a, "b"\r\nc'], ["NA", "", "é"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_delimiter_and_line_end_is_read(delimiter: str, end: str) -> None:
    lines = [["mail", "account", "age", "x"], ["m", "a", "4", ""], [], ["m", "a", "", "0.5"]]

    out = masked(end.join(delimiter.join(line) for line in lines).encode()).decode()

    alice = transforms.pseudonym(KEY, "a")
    assert list(csv.reader(out.splitlines(), delimiter=delimiter)) == [
        ["account", "age", "x"], [alice, "0", ""], [alice, "", "0.5"]
    ]  # fmt: skip


def test_blocks_may_end_anywhere() -> None:
    content = HEAD + 'm,"é\n,é",12\n'.encode() * 50

    assert masked(content, block=1) == masked(content)


def test_the_row_of_a_single_empty_cell_stays_a_row() -> None:
    plan = Plan({"a": {"rule": "drop"}})

    assert masked(b"a,b\n1,\n2,x\n", plan) == b'b\n""\nx\n'


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_single_column_is_quoted_where_it_could_be_split(delimiter: str) -> None:
    plan = Plan({"mail": {"rule": "drop"}})

    out = masked(f'price{delimiter}mail\n"1,5;0\t"{delimiter}m\n2{delimiter}m\n'.encode(), plan)

    assert out == b'price\n"1,5;0\t"\n2\n'


def test_where_all_columns_are_dropped_nothing_is_taken() -> None:
    plan = Plan({"mail": {"rule": "drop"}})

    with pytest.raises(InvalidRequest, match="expected a column that stays") as refused:
        masked(b"mail\nm\n", plan)

    assert refused.value.code == "dataset_empty"


def test_a_large_file_goes_through() -> None:
    row = b"m@x.org,account-77,41\n"

    out = masked(HEAD + row * 200_000)

    assert out.count(b"\n") == 200_001 and b"m@x.org" not in out and b"account-77" not in out


def test_listeners_get_pseudonyms_and_keep_those_that_they_have() -> None:
    known = pseudonyms.keyed(KEY, "alice")

    out = masked(f"track,listener\nx, alice \ny,{known}\nz,\n".encode(), PLAYS)

    assert out.decode() == f"track,listener\nx,{known}\ny,{known}\nz,\n"


@pytest.mark.parametrize(
    ("named", "header"),
    [({}, "item,user"), ({}, "song,who"), ({"user": "who"}, "user,who"), ({"drop": ["user"]}, "user,who,item")],
)
def test_the_column_of_listeners_is_the_one_that_the_ingest_finds(named: dict[str, object], header: str) -> None:
    column = header.split(",").index(str(roles.assign(header.split(","), named).columns["user"]))

    out = masked(
        f"{header}\n{','.join('alice' for _ in header.split(','))}\n".encode(), replace(PLAYS, listeners=named)
    ).decode()

    hidden = [cell.startswith("p-") for cell in out.splitlines()[1].split(",")]
    assert [place for place, is_hidden in enumerate(hidden) if is_hidden] == [column]


def test_an_item_table_may_lack_columns() -> None:
    plan = Plan({"mail": {"rule": "drop"}, "user": {"rule": "hash"}}, KEY.hex(), may_lack=True)

    assert masked(b"item,mail\nx,m\n", plan) == b"item\nx\n"


REFUSED = {
    "an empty file": (b"\n\r\n", "dataset_empty"),
    "UTF-16": ((HEAD.decode() + CANARY).encode("utf-16"), "csv_encoding"),
    "Latin-1": (HEAD + CANARY.encode() + "é,1,1\n".encode("latin-1"), "csv_encoding"),
    "a NUL": (HEAD + CANARY.encode() + b"\0,1,1\n", "csv_encoding"),
    "Parquet": (b"PAR1\x15\x04\x15" + CANARY.encode(), "masking_not_csv"),
    "a zip": (b"PK\x03\x04\x14\x00\x00" + CANARY.encode(), "masking_not_csv"),
    "a truncated gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b", "masking_not_csv"),
    "a column that lacks": (f"mail,age\n{CANARY},3\n".encode(), "column_missing"),
    "no header": (f"{CANARY},alice,3\n".encode(), "column_missing"),
    "a name twice": (HEAD.strip() + b",age\n", "column_name"),
    "a header over lines": (b'mail,"account\n",age\n', "column_name"),
    "many columns": (HEAD.strip() + b"".join(b",c%d" % n for n in range(510)) + b"\n", "table_too_many_columns"),
    "a ragged row": (HEAD + f"m,{CANARY},1,2\n".encode(), "csv_shape"),
    "an open quote": (HEAD + f'm,"{CANARY},1\n'.encode(), "csv_shape"),
    "a quote out of place": (HEAD + f'm,"{CANARY}"x,1\n'.encode(), "csv_shape"),
    "words for numbers": (HEAD + f"m,a,{CANARY}\n".encode(), "cell_unfit"),
    "an endless line": (HEAD + CANARY.encode() * 300_000, "field_too_long"),
    "an endless cell": (HEAD + b'm,"' + f"{CANARY}\n".encode() * 300_000, "field_too_long"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_masked_is_refused_without_a_word_of_it(what: str) -> None:
    content, code = REFUSED[what]

    with pytest.raises(InvalidRequest) as refused:
        masked(content)

    assert refused.value.code == code
    assert "expected" in refused.value.detail
    assert CANARY not in str(refused.value.as_json())


def test_every_fault_is_told_with_its_line() -> None:
    with pytest.raises(InvalidRequest) as refused:
        masked(HEAD + b'm,a,1\nm,a,old\n\nm,a\nm,"\n",older\n' + b"m,a,x\n" * 200)

    said = [(fault.message[:8], fault.column, fault.code) for fault in refused.value.faults]
    assert said[:3] == [
        ("line 3: ", "age", "cell_unfit"),
        ("line 5: ", None, "csv_shape"),
        ("line 6: ", "age", "cell_unfit"),
    ]
    assert (len(said), refused.value.faults_total) == (100, 203)


def test_a_child_that_is_killed_gives_no_whole_file_and_no_other_is_left() -> None:
    before = children()

    def blocks() -> Iterator[bytes]:
        yield HEAD + b"m,a,1\n" * 100_000
        (child,) = children() - before
        os.kill(child, signal.SIGKILL)
        yield b"m,a,1\n" * 100_000

    with pytest.raises(Unavailable) as ended, door.opened(PLAN, blocks()) as out:
        list(out)

    assert (ended.value.code, ended.value.retryable) == ("masking_ended", True)
    assert children() == before


def test_a_child_without_memory_says_so() -> None:
    bounds = replace(door.BOUNDS, address_bytes=48 * door.MiB)
    cells = "\U0001d11e".encode() * 1_900_000

    with (
        pytest.raises(EtudeError) as ended,
        door.opened(PLAN, iter([HEAD, b"m," + cells + b",1\n"]), bounds=bounds) as out,
    ):
        list(out)

    assert isinstance(ended.value, TooLarge) and ended.value.code == "masking_exhausted"


def test_a_client_that_hangs_up_leaves_no_child() -> None:
    before = children()

    def blocks() -> Iterator[bytes]:
        yield HEAD
        raise BadRequest("gone", code="upload_incomplete")

    with pytest.raises(BadRequest), door.opened(PLAN, blocks()) as out:
        list(out)

    assert children() == before


def test_the_key_is_in_no_argument_and_no_environment() -> None:
    before, seen = children(), []

    def blocks() -> Iterator[bytes]:
        (child,) = children() - before
        seen.extend(Path(f"/proc/{child}/{name}").read_bytes() for name in ("cmdline", "environ"))
        yield HEAD

    with door.opened(PLAN, blocks()) as out:
        list(out)

    assert len(seen) == 2 and KEY.hex().encode() not in b"".join(seen)
