"""Has tracks decoded: fetches each upload as its turn comes, and forgets it afterwards, so that scratch stays small."""

import atexit
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from worker import cores
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

    Files that `want` asks for are the caller's to delete. Close it when you leave early: the ears are shared.
    """
    fetched: deque[Path] = deque()

    def requests() -> Iterator[Request]:
        for track in tracks:
            upload = uploads[track.upload or ""]
            # By its number: two tracks may be parts of one file.
            path = desk.fetch(upload.key, name=f"track-{track.number}", sha256=upload.sha256)
            fetched.append(path)
            # By the name that its own row gives it: the same bytes may have been uploaded under several.
            yield Request(track.number, path, track.file.strip(), want(track), track.start_s, track.end_s)

    ahead = 2 * cores.count()
    with closing(_ears().listen(requests(), ahead=ahead, check=desk.check)) as answers:
        for track, answer in zip(tracks, answers, strict=True):
            yield track, answer
            fetched.popleft().unlink(missing_ok=True)
