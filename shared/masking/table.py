"""A CSV file masked row by row as it comes: UTF-8, a header of one line, cells that may run over lines.

Nothing of a cell is in what is said when it cannot be read, nor of the header, which is a row where it was forgotten.
"""

import csv
import io
import random
import re
from collections.abc import Callable, Iterator, Sequence

from shared import play_roles, pseudonyms
from shared.errors import FAULTS_SHOWN, Fault
from shared.masking import transforms
from shared.masking.plan import Plan
from shared.masking.transforms import Transform, Unfit

# As the ingest has them: what it would refuse is not written to begin with.
RECORD_CHARACTERS = 2 * 1024 * 1024
HEADER_CHARACTERS = 512 * 256
COLUMNS = 512
DELIMITERS = ",;\t"
MAGIC = {b"PAR1": "Parquet", b"PK\x03\x04": "a zip archive", b"\x1f\x8b": "a gzip file", b"\x93NUMPY": "an array"}
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
QUOTED = re.compile(r'[,;\t"\r\n]')


class Refused(Exception):
    """The file cannot be masked."""

    def __init__(self, code: str, faults: Sequence[Fault], total: int = 0) -> None:
        super().__init__(code)
        self.code, self.faults, self.total = code, list(faults), total or len(faults)


def mask(source: io.FileIO, plan: Plan, write: Callable[[str], None]) -> int:
    """Write the rows of a file without what is to be hidden; returns how many. Raises Refused with every fault."""
    lines = Lines(_text_of(source))
    names, delimiter = _read_header(lines)
    chosen = _transforms(names, plan)
    kept = [name for name, change in zip(names, chosen, strict=True) if change is not None]
    if not kept:
        raise refuse("dataset_empty", "expected a column that stays, and the rules drop all of them")
    # Whatever could be taken for a delimiter, for whoever reads this finds out by the header which one it is.
    write(delimiter.join(_quoted(name) if QUOTED.search(name) else name for name in kept) + "\n")
    return Rows(names, chosen, delimiter, write).run(lines)


class Lines:
    """The lines of a text, none longer than a record may be; counts those that were read."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text, self.number = text, 0
        # Of the record that is being read: where it began, and its characters so far.
        self.first, self._length = 1, 0

    def begin_record(self) -> None:
        self.first, self._length = self.number + 1, 0

    def __iter__(self) -> Iterator[str]:
        while line := self._next():
            if "\0" in line:
                raise refuse("csv_encoding", f"expected text, received a NUL byte in line {self.number:,}")
            self._length += len(line)
            if self._length > RECORD_CHARACTERS:
                said = f"expected rows of at most {RECORD_CHARACTERS:,} characters: from line {self.first:,} on a cell"
                raise refuse("field_too_long", f"{said} is too long, or a quotation mark is never closed")
            yield line

    def _next(self) -> str:
        try:
            line = self._text.readline(RECORD_CHARACTERS + 1)
        except UnicodeDecodeError as cause:
            at = self.number + 1 + cause.object.count(b"\n", 0, cause.start)
            # Its cause holds the bytes, and a traceback would show them.
            raise refuse("csv_encoding", f"expected UTF-8, received other bytes in line {at:,}") from None
        self.number += 1
        return line


class Rows:
    """Masks the rows of a file; after the first fault it writes no more, and reads on to find the others."""

    def __init__(
        self, names: Sequence[str], chosen: Sequence[Transform | None], delimiter: str, write: Callable[[str], None]
    ) -> None:
        self._names, self._delimiter, self._write = names, delimiter, write
        self._kept = [place for place, change in enumerate(chosen) if change is not None]
        self._changes = [
            (place, change) for place, change in enumerate(chosen) if change is not None and change is not _as_it_is
        ]
        self._faults: list[Fault] = []
        self._total = 0

    def run(self, lines: Lines) -> int:
        rows = 0
        for cells in self._read(lines):
            rows += 1
            if len(cells) != len(self._names):
                said = f"expected {len(self._names)} cells, received {len(cells)}"
                self._note(said, lines.first, code="csv_shape")
                continue
            self._mask(cells, lines.first)
            if not self._total:
                self._write(_joined([cells[place] for place in self._kept], self._delimiter))
        if self._total:
            raise Refused(self._faults[0].code or "csv_shape", self._faults, self._total)
        return rows

    def _read(self, lines: Lines) -> Iterator[list[str]]:
        csv.field_size_limit(RECORD_CHARACTERS)
        reader = csv.reader(iter(lines), delimiter=self._delimiter, strict=True)
        lines.begin_record()
        while True:
            try:
                cells = next(reader, None)
            except csv.Error:
                # What the parser says may quote a cell.
                said = f"line {lines.first:,}: expected CSV, received a quotation mark out of place, or never closed"
                raise self._all_with(said) from None
            if cells is None:
                return
            if cells:
                yield cells
            lines.begin_record()

    def _mask(self, cells: list[str], line: int) -> None:
        for place, change in self._changes:
            if transforms.is_missing(cells[place]):
                continue
            try:
                cells[place] = change(cells[place])
            except Unfit as unfit:
                self._note(str(unfit), line, column=self._names[place], code="cell_unfit")

    def _note(self, said: str, line: int, *, code: str, column: str | None = None) -> None:
        self._total += 1
        if len(self._faults) < FAULTS_SHOWN:
            self._faults.append(Fault(f"line {line:,}: {said}", column=column, code=code))

    def _all_with(self, said: str) -> Refused:
        return Refused("csv_shape", [*self._faults, Fault(said, code="csv_shape")], self._total + 1)


def _text_of(source: io.FileIO) -> io.TextIOWrapper:
    """The file as text. Raises Refused for what is, by its first bytes, something else."""
    buffered = io.BufferedReader(source)
    head = buffered.peek(16)[:16]
    if head.startswith(UTF_16):
        raise refuse("csv_encoding", "expected UTF-8, received UTF-16 from line 1 on")
    is_text = all(sign >= 32 or sign in b"\t\r\n" for sign in head)
    what = next((what for magic, what in MAGIC.items() if head.startswith(magic) and not is_text), None)
    if what is not None:
        said = f"expected CSV, received {what}: columns are masked at the door in CSV alone"
        raise refuse("masking_not_csv", f"{said}; mask it before the upload, or send CSV")
    # Of utf-8-sig alone the decoder skips the mark at the beginning.
    return io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="strict", newline="")


def _read_header(lines: Lines) -> tuple[list[str], str]:
    """The names of the columns and what separates them, from the first line that is not empty."""
    line = next((line for line in lines if line.strip("\r\n")), None)
    if line is None:
        raise refuse("dataset_empty", "expected a header and rows, received empty lines")
    if len(line) > HEADER_CHARACTERS or line.count('"') % 2:
        raise refuse("column_name", "expected the names of all columns in the first line")
    try:
        parsed = {sign: _names(line, sign) for sign in DELIMITERS}
    except csv.Error:
        raise refuse("column_name", "expected the names of all columns in the first line") from None
    delimiter = max(DELIMITERS, key=lambda sign: len(parsed[sign]))
    names = parsed[delimiter]
    if len(names) > COLUMNS:
        raise refuse("table_too_many_columns", f"expected at most {COLUMNS} columns, received {len(names):,}")
    if len(set(names)) < len(names) or "" in names:
        raise refuse("column_name", "expected a name for every column in the first line, and each name once")
    return names, delimiter


def _names(line: str, delimiter: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter))]


def _transforms(names: Sequence[str], plan: Plan) -> list[Transform | None]:
    """What happens to each column. Raises Refused with every rule whose column is not there."""
    absent = [] if plan.may_lack else [name for name in plan.rules if name not in names]
    given = plan.listeners or {}
    absent += [name for name in [given.get("user")] if name is not None and name not in names]
    if absent:
        faults = [
            Fault("expected this column in the first line", column=name, code="column_missing") for name in absent
        ]
        raise Refused("column_missing", faults)
    key, source = bytes.fromhex(plan.key), random.SystemRandom()
    changes: dict[str, Transform | None] = {
        name: transforms.of(rule, key, source) for name, rule in plan.rules.items() if name in names
    }
    if plan.listeners is not None:
        left = [name for name in names if changes.get(name, _as_it_is) is not None]
        user = play_roles.infer(left, given).columns[play_roles.USER]
        if user is None or user in changes:
            said = "expected a column of users without a rule: name it in columns.user"
            raise refuse("column_missing", said)
        changes[user] = _listener(bytes.fromhex(plan.listeners_key))
    return [changes.get(name, _as_it_is) for name in names]


def _listener(key: bytes) -> Transform:
    return lambda cell: pseudonyms.keyed(key, cell.strip())


def _as_it_is(cell: str) -> str:
    return cell


def _joined(cells: Sequence[str], delimiter: str) -> str:
    row = delimiter.join(cells)
    # A line that is empty would be no row.
    if not row or '"' in row or "\n" in row or "\r" in row or row.count(delimiter) != len(cells) - 1:
        return delimiter.join(map(_quoted, cells)) + "\n"
    # The header of one column tells nobody which delimiter it was.
    if len(cells) == 1 and QUOTED.search(row):
        return delimiter.join(map(_quoted, cells)) + "\n"
    return row + "\n"


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def refuse(code: str, said: str) -> Refused:
    """The error that ends the reading at once."""
    return Refused(code, [Fault(said, code=code)])
