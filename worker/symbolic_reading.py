"""Reads pieces from files that clients send: in a confined child, which is begun anew after a file that ends it.

A prompt that comes with a request is read here, too: it is as hostile as any upload.
"""

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from shared import sandbox
from shared.confinement import Bounds
from shared.containment.landlock import Reach
from shared.errors import Fault, JobFailed
from worker.formats.source import rejection
from worker.ingest import UploadedFile
from worker.symbolic import answers, decode
from worker.symbolic.answers import Answer, Reading
from worker.symbolic.bounds import MiB
from worker.symbolic.flaws import Flaw

MODULE = "worker.symbolic.decode"
# A damaged file hardly ends its reader, which is Python; so many were made to, and each costs the start of a process.
MOST_ENDED = 16
GIVEN = Bounds(file_bytes=2048 * MiB)

Progress = Callable[[int, int], None]
# The number of a file, the place of a piece in it, and the code of how it ended its decoder.
Ended = Callable[[int, int, str], None]


def read(
    files: Sequence[UploadedFile],
    out_dir: Path,
    progress: Progress = lambda done, total: None,
    *,
    shut: Mapping[int, Collection[int]] = MappingProxyType({}),
    ended: Ended = lambda file, place, code: None,
    module: str = MODULE,
    bounds: Bounds = GIVEN,
) -> list[Reading]:
    """Every piece of the files in their order, each with what is wrong with it; `progress` may raise, which ends it.

    `shut` are the places, by the number of their file, that are not to be opened; `ended` is told of those that end a
    child.

    The notes lie in files under `out_dir`, mapped and not held: keep it as long as the pieces. Raises JobFailed when
    there is too much of all, or when too many files end the decoder; TryAgain when the disk is full.
    """
    said = [{"name": file.name, "path": str(file.path.resolve())} for file in files]
    readings: list[Reading] = []
    blamed: list[Reading] = []
    closed = {str(number): sorted(places) for number, places in shut.items()}
    first, after = 0, decode.WHOLE
    while first < len(files):
        folder = Path(tempfile.mkdtemp(prefix="pieces-", dir=out_dir)).resolve()
        request = {"files": said, "first": first, "after": after, "shut": closed, "out": str(folder)}
        reach = Reach(tuple(file["path"] for file in said[first:]), (str(folder),))
        failed = _decode(module, request, bounds, _counted(progress, len(readings)), reach)
        answer = answers.collect(folder, files)
        readings += answer.readings
        _refuse_many(readings)
        if failed is None:
            answer.demand_all(len(files))
            break
        if answer.last is None:
            # It has not come so far as to open a file: none of them is to blame.
            raise failed
        if answer.is_open:
            ended(answer.last.file, answer.last.place, failed.code)
            blamed.append(_blame(answer, failed.code))
            readings.append(blamed[-1])
        if len(blamed) > MOST_ENDED:
            raise _too_hostile(blamed)
        first, after = answer.last.behind()
    return readings


def _decode(
    module: str, request: sandbox.Json, bounds: Bounds, progress: sandbox.Progress, reach: Reach
) -> JobFailed | None:
    """Run a child; returns how it ended, if it did before its work was done."""
    try:
        sandbox.run(module, request, bounds=bounds, progress=progress, reach=reach)
    except JobFailed as failed:
        if failed.code not in sandbox.SAID:
            raise
        return failed
    return None


def _counted(progress: Progress, before: int) -> sandbox.Progress:
    def count(done: int, total: int | None) -> None:
        progress(before + done, before + (total or done))

    return count


def _blame(answer: Answer, code: str) -> Reading:
    begun = answer.last
    assert begun is not None
    return Reading(begun.key, begun.name, begun.part, None, Flaw(code, sandbox.SAID_OF_ONE[code]))


def _refuse_many(readings: Sequence[Reading]) -> None:
    notes = sum(len(each.piece.notes) for each in readings if each.piece is not None)
    if len(readings) <= decode.MOST_PIECES and notes <= decode.MOST_NOTES:
        return
    most = f"at most {decode.MOST_PIECES:,} pieces and {decode.MOST_NOTES:,} notes"
    raise rejection(
        [Fault(f"expected {most}, received more: make several datasets of them", code="table_too_large")], 1
    )


def _too_hostile(blamed: Sequence[Reading]) -> JobFailed:
    """So many files that end their reader are no accident."""
    faults = [Fault(each.fault.detail, file=each.key, code=each.fault.code) for each in blamed if each.fault]
    return rejection(faults, len(faults))
