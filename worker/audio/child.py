"""The life of the process that hears one recording: it limits itself, answers, and ends."""

import errno
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from shared import confinement
from shared.errors import JobFailed
from shared.processes import die_with_parent
from worker.audio.limits import SAID, TrackBounds

STDIN, STDOUT, STDERR, ANSWER = 0, 1, 2, 3

Json = dict[str, Any]  # Any: JSON


def live(
    answer: Callable[[], Json],
    parent: int,
    pipes: tuple[int, int],
    bounds: TrackBounds,
    confine: Callable[[], None],
) -> NoReturn:
    """Answer through one pipe, complain through the other; whatever happens, this process ends here."""
    status = 1
    try:
        die_with_parent(parent)
        keep_only(*pipes)
        limit(bounds)
        said = (json.dumps(outcome(answer, confine), allow_nan=False) + "\n").encode()
        while said:
            said = said[os.write(ANSWER, said) :]
        status = 0
    except BaseException:
        os.write(STDERR, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(status)


def keep_only(says: int, complains: int) -> None:
    """Nothing to read, complaints where codecs print, the answer apart from both, and no pipe of anybody else."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), STDIN)
    os.dup2(complains, STDOUT)
    os.dup2(complains, STDERR)
    os.dup2(says, ANSWER)
    os.closerange(ANSWER + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def limit(bounds: TrackBounds) -> None:
    """Limit this process for good, within the limits that it has already."""
    confinement.limit(replace(bounds, address_bytes=_mapped_bytes() + bounds.address_bytes))


def _mapped_bytes() -> int:
    """The address space of this process; nought where it is not limited either."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def outcome(answer: Callable[[], Json], confine: Callable[[], None]) -> Json:
    """What was heard, or a fault with its code and a sentence that says what to do."""
    try:
        confine()
    except OSError:
        return {"fault": {"code": "decoder_unavailable", "detail": SAID["decoder_unavailable"]}}
    try:
        return {"heard": answer()}
    except JobFailed as failed:
        return {"fault": {"code": failed.code, "detail": failed.detail}}
    except MemoryError:
        return {"fault": {"code": "decoder_memory", "detail": SAID["decoder_memory"]}}
    except OSError as cause:
        if cause.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return {"fault": {"code": "disk_full", "detail": SAID["disk_full"]}}
