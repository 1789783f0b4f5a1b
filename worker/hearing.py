"""Has tracks decoded: fetches each upload as its turn comes, and forgets it afterwards, so that scratch stays small."""

import atexit
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from worker import cores, quarantine
from worker.desk import Desk
from worker.listening import Answer, Ears, Request
from worker.recordings import Track

Json = dict[str, Any]


@cache
def _ears() -> Ears:
    """One for all the jobs of this process: its start takes half a second, and it dies with us."""
    ears = Ears()
    atexit.register(ears.__exit__, None, None, None)
    return ears


def hear(
    desk: Desk, tracks: Sequence[Track], uploads: Mapping[str, Row[Any]], want: Callable[[Track], Json]
) -> Generator[tuple[Track, Answer], None, None]:
    """Decode tracks, several at a time, and hand them over in their order; `uploads` are by SHA-256.

    What has ended a decoder before is not opened, and what ends one now is remembered. Files that `want` asks for are
    the caller's to delete. Close it when you leave early: the ears are shared.
    """
    fetched: deque[Path] = deque()
    shut = quarantine.places(desk, {track.upload or "" for track in tracks})

    def requests() -> Iterator[Request]:
        for track in tracks:
            if track.upload in shut:
                continue
            upload = uploads[track.upload or ""]
            # By its number: two tracks may be parts of one file.
            path = desk.fetch(upload.key, name=f"track-{track.number}", sha256=upload.sha256)
            fetched.append(path)
            # By the name that its own row gives it: the same bytes may have been uploaded under several.
            yield Request(track.number, path, track.file.strip(), want(track), track.start_s, track.end_s)

    ahead = 2 * cores.count()
    with closing(_ears().listen(requests(), ahead=ahead, check=desk.check)) as answers:
        for track in tracks:
            if track.upload in shut:
                want(track)
                yield track, Answer(track.number, fault=quarantine.fault(track.file))
                continue
            answer = next(answers)
            if answer.fault is not None and answer.fault.code == quarantine.ENDED:
                quarantine.add(desk, track.upload or "")
            yield track, answer
            fetched.popleft().unlink(missing_ok=True)
