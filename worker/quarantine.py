"""Keeps files from decoders that they ended before: asked before a file is opened, told when one ends its decoder.

Only what ends one outright counts: time and memory that a file takes depend on the machine, and on what it is allowed.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Row

from shared import claims
from shared import quarantine as kept
from shared.errors import Fault, JobFailed
from shared.quarantine import WHOLE
from worker import symbolic_reading
from worker.desk import Desk
from worker.formats.source import rejection
from worker.ingest import UploadedFile
from worker.quarantined import CODE, SAID
from worker.symbolic.answers import Reading

ENDED = "decoder_crashed"

Upload = Row[Any]


def places(desk: Desk, digests: Collection[str]) -> dict[str, set[int]]:
    """Of files by their SHA-256, the places in them that are not to be read: WHOLE is the file."""
    marks = {_mark(desk, sha256): sha256 for sha256 in digests}
    found: dict[str, set[int]] = {}
    with desk.database.reading() as sql:
        for mark, place in kept.find(sql, desk.claim.tenant, list(marks)):
            found.setdefault(marks[mark], set()).add(place)
    return found


def add(desk: Desk, sha256: str, place: int = WHOLE) -> None:
    """Keep what has ended a decoder from the next one, whatever becomes of this job. Raises ClaimLost."""
    with desk.database.transaction() as sql:
        claims.hold(sql, desk.claim)
        kept.add(sql, desk.claim.tenant, _mark(desk, sha256), place, job=desk.claim.job_id)


def fault(name: str) -> Fault:
    """Why a file is not read."""
    return Fault(SAID, file=name, code=CODE)


def _mark(desk: Desk, sha256: str) -> str:
    return kept.mark(desk.settings.pepper, desk.claim.tenant, sha256)


def read_pieces(desk: Desk, files: Sequence[UploadedFile], digests: Sequence[str]) -> list[Reading]:
    """The pieces of files, which have these SHA-256s; each piece in an archive is kept from decoders by itself."""
    known = places(desk, set(digests))
    shut = {number: known[sha256] for number, sha256 in enumerate(digests) if sha256 in known}

    def ended(file: int, place: int, code: str) -> None:
        if code == ENDED:
            add(desk, digests[file], place)

    return symbolic_reading.read(files, desk.scratch, desk.report_pieces, shut=shut, ended=ended)


@contextmanager
def watching(desk: Desk, uploads: Sequence[Upload]) -> Iterator[None]:
    """While tables are fetched and read together: refused if one has ended a decoder, and kept if one does.

    Raises JobFailed.
    """
    shut = places(desk, {file.sha256 for file in uploads})
    if faults := [fault(file.name) for file in uploads if file.sha256 in shut]:
        raise rejection(faults, len(faults))
    try:
        yield
    except JobFailed as failed:
        ended = {fault.file for fault in failed.faults if fault.code == ENDED}
        for sha256 in sorted({file.sha256 for file in uploads if file.name in ended}):
            add(desk, sha256)
        raise
