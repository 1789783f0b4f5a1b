"""The generate action: pieces around what is given and within the rules, until they are what was asked for."""

import base64
from typing import Any

from sqlalchemy import Connection

from shared import history
from shared.errors import Fault, JobFailed
from shared.kinds.generation import GenerateParams, name_of_key, read_key
from worker import composers, lineage, piece_files, symbolic_reading
from worker.composers import Opened
from worker.desk import Desk
from worker.ending import Ending
from worker.ingest import UploadedFile
from worker.kinds.generation import compose
from worker.kinds.generation.briefs import Brief
from worker.kinds.generation.compose import Made
from worker.piece_files import Written
from worker.symbolic import stored
from worker.symbolic.copies import Corpus
from worker.symbolic.piece import Piece

Json = dict[str, Any]

# Of a piece in a key that is asked for. A network that is told one follows it often, and not always; what comes out in
# the same mode is transposed.
KEY_DRAFTS = 6


def generate(desk: Desk) -> Ending:
    """Compose pieces with a model version."""
    params = GenerateParams.model_validate(desk.claim.params)
    desk.enter("loading")
    opened = composers.open(desk)
    given = _given(desk, params)
    brief = opened.composer.brief(params, given)
    desk.enter("composing")
    made = _compose(desk, opened, brief, params, is_given=given is not None)
    desk.enter("storing")
    folder = desk.scratch / "pieces"
    folder.mkdir()
    reference = f"{opened.version.name}@{opened.version.number}"
    written = piece_files.write(folder, made, brief, params, model=reference, settings=desk.settings, check=desk.check)
    files = [desk.put(path.name, path, rows=written.rows.get(path.stem, 0)) for path in sorted(folder.iterdir())]
    said: Json = {
        "model": reference,
        "pieces": written.rows["predictions"],
        "refused": written.rows["errors"],
        "files": written.rows["files"],
        "relaxed": sum(bool(each.said["relaxed"]) for each in made),
        "warnings": [] if opened.known is not None else [_not_searched()],
        "lineage": lineage.of_scoring(opened.version, desk.dataset_rows()),
    }

    def record(sql: Connection) -> Json:
        for warning in said["warnings"]:
            history.note(sql, desk.claim.job_id, "warning", warning)
        return said

    return Ending(record, files)


def _not_searched() -> Json:
    said = "The training set is not there any more: what was copied from it cannot be told."
    return {"code": "copies_unknown", "detail": said}


def _compose(
    desk: Desk, opened: Opened, brief: Brief, params: GenerateParams, *, is_given: bool
) -> list[piece_files.Written]:
    """Every piece that was asked for: of its drafts the first that may be handed out and is in the key asked for.

    They are written some at a time, until all pieces have one, or as often as it may be tried.
    """
    best: dict[int, Written] = {}
    # What is given has its key.
    at_once = KEY_DRAFTS if params.key is not None and not is_given else 1
    for attempt in range(0, max(_attempts(params), 2 * at_once if at_once > 1 else 1), at_once):
        missing = [number for number in range(params.pieces) if not _is_good(best.get(number), params, is_given)]
        if not missing:
            break
        numbers = [(number, attempt + draft) for number in missing for draft in range(at_once)]
        seeds = [(params.seed, *each) for each in numbers]
        made = opened.composer.compose(brief, params, seeds=seeds, check=desk.check)
        for (number, _), each in zip(numbers, made, strict=True):
            if at_once > 1:
                each = compose.into_key(each, read_key(params.key or ""), params.ranges)
            told = _told(number, each, params, opened.known)
            if _rank(told, params, is_given) < _rank(best.get(number), params, is_given):
                best[number] = told
        done = sum(_is_good(each, params, is_given) for each in best.values())
        desk.report_pieces(done, params.pieces)
    return [best[number] for number in range(params.pieces)]


def _attempts(params: GenerateParams) -> int:
    return params.copies.attempts if params.copies is not None else 1


def _is_good(written: Written | None, params: GenerateParams, is_given: bool) -> bool:
    return _rank(written, params, is_given) == 0


def _rank(written: Written | None, params: GenerateParams, is_given: bool) -> int:
    """0 for what was asked for, 1 where the key is missed, 2 for what may not be handed out, 3 for none."""
    if written is None:
        return 3
    if written.refusal is not None:
        return 2
    is_missed = params.key is not None and not is_given and written.said["key_name"] != name_of_key(params.key)
    return int(is_missed)


def _told(number: int, made: Made, params: GenerateParams, known: Corpus | None) -> Written:
    said = compose.tell(made, known)
    return Written(number, made, said, _refusal(said, params))


def _refusal(said: Json, params: GenerateParams) -> Fault | None:
    """Why a piece is not handed out, if it is not."""
    if said["relaxed"] and params.constraints is not None and params.constraints.if_impossible == "refuse":
        bars = ", ".join(str(each["bar"]) for each in said["relaxed"])
        told = f"The constraints could not be kept together in bar {bars}."
        return Fault(told, code="constraints_impossible")
    copied = said["copied"]
    if params.copies is not None and copied is not None and copied["notes"] > params.copies.notes:
        where = f"stand in {copied['source_key']}, bar {copied['source_bar']}; {params.copies.notes} were allowed."
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
    path.write_bytes(base64.b64decode(score.content or ""))
    readings = symbolic_reading.read([UploadedFile(score.name, path)], desk.scratch)
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
    raise JobFailed(f"The dataset has no such piece: {key}.", code="piece_missing", faults=[fault])
