"""What was decided of an audit's suspects, as clients send it: JSON or CSV, checked against the audit's own ranking."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel, StringConstraints, model_validator

from shared import sorts
from shared.audits import ACCEPT, Decision, Label
from shared.errors import Fault, InvalidRequest, TooLarge
from shared.schema import Closed, Int

# As many as an audit ranks.
MOST = 100_000
BETWEEN_LABELS = "|"
DELIMITERS = ",;\t"
# Of a row of the ranking, which every line begins with.
BEGIN = b'{"row": '
WORDS = (ACCEPT, "reject")
TRUTHS = ("true", "false")

Json = dict[str, Any]
LabelText = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Labels = Annotated[list[LabelText], Field(max_length=1000)]


class RowDecision(Closed):
    """Whether a suspect's label is wrong (accept) or right (reject); left out, `label` is what the audit suggests."""

    decision: Literal["accept", "reject"]
    label: LabelText | Labels | None = None


class ListedDecision(RowDecision):
    """The same of a row that is named by its number or its key."""

    row: Annotated[Int, Field(ge=0, lt=2**53)] | None = None
    key: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None

    @model_validator(mode="after")
    def _names_a_row(self) -> "ListedDecision":
        if self.row is None and self.key is None:
            raise ValueError("expected row or key, received neither")
        return self


class DecisionList(RootModel[Annotated[list[ListedDecision], Field(min_length=1, max_length=MOST)]]):
    """Decisions of many rows; of the same row the last one wins."""


@dataclass(frozen=True)
class Wanted:
    """A decision as it was sent, and where it stood."""

    decision: str
    label: Label | None
    row: int | None
    key: str | None
    pointer: str | None = None
    line: int | None = None

    @property
    def name(self) -> int | str:
        """The number of the row, or its key."""
        return self.row if self.row is not None else str(self.key)

    def fault(self, message: str, *, code: str) -> Fault:
        """Something that is wrong with it; `row` of a fault is the line of a CSV, the header being the first."""
        return Fault(message, pointer=self.pointer, row=self.line, code=code)


def of_json(listed: DecisionList) -> list[Wanted]:
    return [
        Wanted(each.decision, each.label, each.row, each.key, pointer=f"/{place}")
        for place, each in enumerate(listed.root)
    ]


def of_csv(content: bytes, *, has_several: bool, separator: str | None) -> list[Wanted]:
    """Lines with `row` or `key`, `decision` and maybe `label`; other columns are not looked at.

    A line without a decision says nothing. Raises InvalidRequest with every line that is wrong, TooLarge.
    """
    lines = _lines(content)
    names = next(lines, (1, []))[1]
    columns = {name.strip().lower(): place for place, name in enumerate(names)}
    if "decision" not in columns or not {"row", "key"} & columns.keys():
        said = f"expected the columns row or key, decision and maybe label, received {len(names)} others"
        raise InvalidRequest(said, code="decisions_invalid", faults=[Fault(said, row=1)])
    found, faults = list[Wanted](), list[Fault]()
    for number, cells in lines:
        line = {name: cells[place].strip() for name, place in columns.items() if place < len(cells)}
        if not line.get("decision"):
            continue
        if len(found) + len(faults) == MOST:
            raise TooLarge(f"Expected at most {MOST:,} decisions: send them in parts.", code="too_many_decisions")
        wrong = _wrong(line)
        if wrong is not None:
            faults.append(Fault(wrong, row=number, code="decisions_invalid"))
            continue
        label = _label(line.get("label", ""), has_several=has_several, separator=separator)
        row = int(line["row"]) if line.get("row") else None
        found.append(Wanted(line["decision"].lower(), label, row, line.get("key"), line=number))
    refuse(faults)
    return found


def refuse(faults: Sequence[Fault]) -> None:
    """Raise InvalidRequest with all of them, if there is one."""
    if faults:
        said = f"{len(faults):,} decisions cannot be taken, and none was: {faults[0].message}."
        raise InvalidRequest(said, code=faults[0].code, faults=faults)


def _lines(content: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise InvalidRequest("The CSV is not UTF-8.", code="decisions_invalid") from cause
    if "\0" in text:
        raise InvalidRequest("The CSV holds a NUL.", code="decisions_invalid")
    first = text.partition("\n")[0]
    # A spreadsheet writes what its country's numbers leave free.
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        try:
            yield reader.line_num + 1, next(reader)
        except StopIteration:
            return
        except csv.Error as cause:
            said = f"line {reader.line_num} cannot be read: {cause}"
            raise InvalidRequest(f"The CSV is not one: {said}.", code="decisions_invalid") from cause


def _wrong(line: Mapping[str, str]) -> str | None:
    if line["decision"].lower() not in WORDS:
        return f"expected accept or reject as the decision, received {sorts.of(line['decision'])}"
    row = line.get("row", "")
    if row and not (row.isascii() and row.isdigit() and len(row) < 16):
        return f"expected the number of a row, received {sorts.of(row)}"
    if not row and not line.get("key"):
        return "expected a row or a key, received neither"
    return None


def _label(text: str, *, has_several: bool, separator: str | None) -> Label | None:
    if not text or not has_several:
        return text or None
    return [part.strip() for part in text.split(separator or BETWEEN_LABELS) if part.strip()]


@dataclass(frozen=True)
class Judge:
    """What a label may be in the audited dataset: `target` as the audit tells it, `types` of the columns."""

    target: Json
    types: Mapping[str, str]

    def settle(self, wanted: Wanted, ranked: Json) -> Decision | Fault:
        """The decision as it is kept, of a row as the audit ranks it; or why it cannot be."""
        if wanted.decision != ACCEPT:
            if wanted.label is not None:
                return wanted.fault("expected no label to reject with: the row keeps its own", code="label_unfit")
            return Decision(ranked["row"], wanted.decision, None)
        label = ranked["suggested"] if wanted.label is None else wanted.label
        wrong = self._wrong(label) or self._same(label, ranked["given"])
        if wrong is not None:
            return wanted.fault(wrong, code="label_unfit")
        strange = self.is_fixed and next((each for each in label if each not in self.target["labels"]), None)
        if strange:
            known = len(self.target["labels"])
            said = f"expected one of the {known:,} labels of the dataset, received {sorts.of(strange)}"
            return wanted.fault(said, code="label_unknown")
        return Decision(ranked["row"], ACCEPT, label)

    @property
    def is_fixed(self) -> bool:
        """Whether each label is a column: a new one has no place."""
        return bool(self.target["has_several"] and self.target["separator"] is None)

    def is_new(self, label: Label) -> list[str]:
        """The labels among these that the dataset has in no row."""
        return [each for each in ([label] if isinstance(label, str) else label) if each not in self.target["labels"]]

    def _wrong(self, label: Label) -> str | None:
        several, separator = self.target["has_several"], self.target["separator"]
        if several != isinstance(label, list):
            return "expected a list of labels: a row may have several" if several else "expected one label, not a list"
        for each in label if isinstance(label, list) else [label]:
            if each != each.strip() or not 0 < len(each) <= 255 or any(sign < " " for sign in each):
                return f"expected a label of 1 to 255 characters without space around it, received {sorts.of(each)}"
            if separator is not None and separator in each:
                return f"expected labels without {separator!r}, which stands between them, received {sorts.of(each)}"
        if several:
            return None if label or self.is_fixed else "expected at least one label: a row without any is left out"
        return self._untyped(str(label))

    def _untyped(self, label: str) -> str | None:
        """Why a label does not fit the sort of column that the target is."""
        kind = self.types[self.target["columns"][0]]
        if kind == "boolean" and label not in TRUTHS:
            return f"expected true or false, which the column holds, received {sorts.of(label)}"
        if kind in ("integer", "number") and not _is_whole(label):
            return f"expected a whole number, which the column holds, received {sorts.of(label)}"
        return None

    def _same(self, label: Label, given: Label) -> str | None:
        same = label == given if isinstance(label, str) else set(label) == set(given)
        return "expected another label than the row has: reject the suspicion to keep it" if same else None


def _is_whole(label: str) -> bool:
    digits = label.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= 15


def find(blocks: Iterable[bytes], wanted: Sequence[Wanted]) -> dict[int | str, Json]:
    """The ranked rows that are wanted, by number and by key, out of the lines of a ranking.

    A key that several rows have names none of them.
    """
    rows = {each.row for each in wanted if each.row is not None}
    keys = {each.key for each in wanted if each.row is None}
    found: dict[int | str, Json] = {}
    doubled = set[str]()
    for line in split(blocks):
        row = int(line[len(BEGIN) : line.index(b",")])
        if row not in rows and not keys:
            continue
        said = json.loads(line)
        if row in rows:
            found[row] = said
        if said["key"] in keys:
            doubled |= {said["key"]} & found.keys()
            found[said["key"]] = said
    return {name: said for name, said in found.items() if name not in doubled}


def split(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file that comes in blocks."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
