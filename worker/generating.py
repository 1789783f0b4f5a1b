"""The generate action: pieces around what is given and within the rules, until they are what was asked for."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from shared import history
from shared.errors import Fault, JobFailed
from shared.kinds.generation import GenerateParams, name_of_key, read_key
from worker import carrying, composers, lineage, piece_files, quarantine
from worker.composers import Opened
from worker.desk import Desk
from worker.ending import Ending
from worker.ingest import UploadedFile
from worker.kinds.generation import compose
from worker.kinds.generation.briefs import Brief
from worker.kinds.generation.compose import Made
from worker.piece_files import Written
from worker.symbolic import stored
from worker.symbolic.piece import Piece

Json = dict[str, Any]

# Of a piece in a key that is asked for. A network that is told one follows it often, and not always; what comes out in
# the same mode is transposed.
KEY_DRAFTS = 6
# Pieces that are written side by side; after them progress is told.
TOGETHER = 64


def generate(desk: Desk) -> Ending:
    """Compose pieces with a model version."""
    params = GenerateParams.model_validate(desk.claim.params)
    desk.enter("loading")
    opened = composers.open(desk)
    given = _given(desk, params)
    brief = opened.composer.brief(params, given)
    desk.enter("composing")
    composition = _Composition(desk, opened, brief, params, is_given=given is not None)
    made = composition.run()
    desk.enter("storing")
    folder = desk.scratch / "pieces"
    folder.mkdir()
    reference = f"{opened.version.name}@{opened.version.number}"
    counts = piece_files.write(folder, made, brief, params, model=reference, settings=desk.settings, check=desk.check)
    files = desk.put_folder(folder, rows=counts)
    warnings = [] if opened.known is not None else [composers.unknown()]
    if brief.given is not None and brief.given.moved:
        warnings.append(_off_grid(brief.given.moved))
    said: Json = {
        "model": reference,
        "pieces": counts["predictions"],
        "refused": counts["errors"],
        "files": counts["files"],
        "relaxed": sum(bool(each.said["relaxed"]) for each in made),
        "warnings": warnings,
        "lineage": lineage.of_scoring(opened.version, desk.dataset_rows()),
        "rights": carrying.rights(desk),
    }

    if composition.is_over_budget:
        said["stopped_by"] = "budget"

    def record(sql: Connection) -> Json:
        for warning in said["warnings"]:
            history.note(sql, desk.claim.tenant, desk.claim.job_id, "warning", warning)
        return said

    return Ending(record, files, is_partial=composition.is_over_budget)


def _off_grid(moved: int) -> Json:
    said = f"{moved} notes of the score that is given begin between the model's frames, and were moved to the nearest."
    return {"code": "notes_moved", "detail": said}


@dataclass
class _Composition:
    """The pieces of a job under way: of the drafts of each the best so far."""

    desk: Desk
    opened: Opened
    brief: Brief
    params: GenerateParams
    # What is given has its key.
    is_given: bool
    best: dict[int, Written] = field(default_factory=dict)
    is_over_budget: bool = False

    def run(self) -> list[Written]:
        """Every piece that was asked for, or those that are there when the client has enough.

        They are drafted until each may be handed out and is in the key asked for, or as often as it may be tried.
        """
        attempts = 1 if self.params.temperature == 0 else self._attempts
        for attempt in range(0, attempts, self._at_once):
            missing = [number for number in range(self.params.pieces) if self._rank(self.best.get(number))]
            for first in range(0, len(missing), TOGETHER):
                if self.desk.is_enough() or self._is_spent():
                    break
                self._draft(missing[first : first + TOGETHER], attempt)
        return [self.best[number] for number in sorted(self.best)]

    def _is_spent(self) -> bool:
        self.is_over_budget = self.is_over_budget or self.desk.is_budget_spent()
        return self.is_over_budget

    @property
    def _wants_key(self) -> bool:
        return self.params.key is not None and not self.is_given

    @property
    def _at_once(self) -> int:
        """How many drafts of a piece are written before it is looked at."""
        return KEY_DRAFTS if self._wants_key and self.params.temperature > 0 else 1

    @property
    def _attempts(self) -> int:
        of_copies = self.params.copies.attempts if self.params.copies is not None else 1
        return max(of_copies, 2 * KEY_DRAFTS if self._wants_key else 1)

    def _draft(self, numbers: Sequence[int], attempt: int) -> None:
        drafts = [(number, attempt + draft) for number in numbers for draft in range(self._at_once)]
        seeds = [(self.params.seed, *each) for each in drafts]
        made = self.opened.composer.compose(self.brief, self.params, seeds=seeds, check=self.desk.check)
        for (number, _), each in zip(drafts, made, strict=True):
            told = self._told(number, each)
            if self._rank(told) < self._rank(self.best.get(number)):
                self.best[number] = told
        self.desk.report_pieces(sum(not self._rank(each) for each in self.best.values()), self.params.pieces)

    def _told(self, number: int, made: Made) -> Written:
        if self._wants_key:
            made = compose.into_key(made, read_key(self.params.key or ""), self.params.ranges)
        said = compose.tell(made, self.opened.known)
        return Written(number, made, said, _refusal(said, self.params))

    def _rank(self, written: Written | None) -> int:
        """0 for what was asked for, 1 where the key is missed, 2 for what may not be handed out, 3 for none."""
        if written is None:
            return 3
        if written.refusal is not None:
            return 2
        return int(self._wants_key and written.said["key_name"] != name_of_key(self.params.key or ""))


def _refusal(said: Json, params: GenerateParams) -> Fault | None:
    """Why a piece is not handed out, if it is not."""
    if said["relaxed"] and params.constraints is not None and params.constraints.if_impossible == "refuse":
        bars = ", ".join(str(each["bar"]) for each in said["relaxed"])
        told = f"The constraints could not be kept together in bar {bars}."
        return Fault(told, code="constraints_impossible")
    copied = said["copied"]
    if params.copies is not None and copied is not None and copied["notes"] > params.copies.notes:
        where = f"stand in a piece of the dataset, bar {copied['source_bar']}; {params.copies.notes} were allowed."
        told = f"{copied['notes']} notes from bar {copied['at_bar']} on {where}"
        return Fault(told, code="copied_too_much")
    return None


def _given(desk: Desk, params: GenerateParams) -> Piece | None:
    """The music that the pieces are made around."""
    score = params.given
    if score is None:
        return None
    if score.piece is not None:
        return _named(desk, score.piece)
    path = desk.scratch / "given"
    content = base64.b64decode(score.content or "")
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    readings = quarantine.read_pieces(desk, [UploadedFile(score.name, path)], [digest])
    pieces = [reading.piece for reading in readings if reading.piece is not None]
    if len(pieces) != 1:
        faults = [reading.fault.detail for reading in readings if reading.fault is not None]
        raise _unreadable(faults[0] if faults else f"expected one piece, received {len(pieces)}")
    return pieces[0]


def _unreadable(why: str) -> JobFailed:
    return JobFailed(f"The score that is given cannot be read: {why}.", code="score_unreadable")


def _named(desk: Desk, key: str) -> Piece:
    for row in desk.dataset_rows():
        for each in stored.load(desk.fetch_parts(row)):
            if each.key == key and each.piece is not None:
                return each.piece
    fault = Fault("expected the key of a piece of the dataset that can be used")
    raise JobFailed("The dataset has no such piece.", code="piece_missing", faults=[fault])
