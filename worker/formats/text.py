"""The text of a CSV file before it is parsed: is it UTF-8, where does its header end, what separates its cells."""

import codecs
import csv
from dataclasses import dataclass
from pathlib import Path

from worker.formats.limits import Limits
from worker.formats.source import Faults

BLOCK_BYTES = 1024 * 1024
# A line of so many holds a whole block of what is parsed at once (worker/formats/csv.py), wherever that begins.
LINE_BYTES = 4 * 1024 * 1024
# 512 names of 255 characters fit, even in a script of four bytes a character.
HEADER_BYTES = 1024 * 1024
DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Header:
    """The names of the columns, what separates them, and where the rows begin."""

    names: list[str]
    delimiter: str
    end: int


@dataclass(frozen=True)
class Text:
    """How many quotation marks a text has, and up to where a line of it is longer than LINE_BYTES, to a block; or 0."""

    quotes: int
    long_until: int


def check_text(path: Path, faults: Faults) -> Text:
    """Refuse what is no UTF-8 text, with the line on which it stops being it."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, quotes, block = 1, 0, b"."
    read = length = long_until = 0
    with path.open("rb") as file:
        while block:
            block = file.read(BLOCK_BYTES)
            if (place := block.find(b"\0")) >= 0:
                at = line + block.count(b"\n", 0, place)
                raise faults.refuse("csv_encoding", f"expected text, received a NUL byte in line {at:,}")
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as cause:
                # The bytes that the decoder had kept from the last block come before this one's.
                at = line + cause.object.count(b"\n", 0, cause.start)
                raise faults.refuse("csv_encoding", f"expected UTF-8, received other bytes in line {at:,}") from cause
            line, quotes = line + block.count(b"\n"), quotes + block.count(b'"')
            ends = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
            read, length = read + len(block), len(block) - ends if ends else length + len(block)
            long_until = read if length > LINE_BYTES else long_until
    return Text(quotes, long_until)


def read_header(path: Path, limits: Limits, faults: Faults) -> Header:
    """The first line that is not empty. Raises JobFailed when there is none, or it is too long to be one."""
    with path.open("rb") as file:
        start = file.read(HEADER_BYTES)
    body = start.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    if not body:
        raise faults.refuse("dataset_empty", "expected a header and rows, received empty lines")
    line = body.splitlines()[0]
    is_cut = len(line) == len(body) and len(start) == HEADER_BYTES
    if is_cut or len(line) > csv.field_size_limit():
        raise _too_long(line, limits, faults)
    text = line.decode()
    if text.count('"') % 2:
        raise faults.refuse("column_name", "expected the names of all columns in one line: a quotation mark is open")
    parsed = {sign: [name.strip() for name in next(csv.reader([text], delimiter=sign))] for sign in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda sign: len(parsed[sign]))
    end = len(start) - len(body) + len(line)
    return Header(parsed[delimiter], delimiter, end + (2 if start[end : end + 2] == b"\r\n" else 1))


def _too_long(line: bytes, limits: Limits, faults: Faults) -> Exception:
    signs = max(line.count(sign.encode()) for sign in DELIMITERS)
    if signs >= limits.columns:
        said = f"expected at most {limits.columns} columns, received more than {signs:,}"
        return faults.refuse("table_too_many_columns", said)
    return faults.refuse("column_name", f"expected names of at most {limits.name_characters} characters")
