"""The life of the process that hears one recording: it limits itself, answers, and ends."""

import errno
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from shared.confinement import CPU_GRACE_S
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
    limits = {
        resource.RLIMIT_CPU: (bounds.cpu_s, bounds.cpu_s + CPU_GRACE_S),
        resource.RLIMIT_FSIZE: (bounds.file_bytes, bounds.file_bytes),
        resource.RLIMIT_NOFILE: (bounds.open_files, bounds.open_files),
        resource.RLIMIT_CORE: (0, 0),
    }
    if sys.platform == "linux":
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limits[resource.RLIMIT_AS] = (mapped + bounds.address_bytes, mapped + bounds.address_bytes)
    for what, (soft, hard) in limits.items():
        allowed = resource.getrlimit(what)[1]
        most = hard if allowed == resource.RLIM_INFINITY else min(hard, allowed)
        resource.setrlimit(what, (min(soft, most), most))


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
