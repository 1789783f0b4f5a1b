"""Every point in the life of a job where its process can die between two things that others can see.

What others can see of a worker's child are its commits, the keys and files that it stores and the rings that it sends;
each of them, counted in its thread, is a point `who:what:number`, and the process dies before it or after it. A web
process has commits, too, and asks its bell to ring.
"""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from shared import queue
from shared.database import Database
from shared.objects import Objects
from shared.queue import Bell

# The life of a rehearsal of two steps with another one waiting, in order; test_crash_points.py holds it complete.
LIFE = {
    "work:commit:1": "the claim",
    "work:commit:2": "the stage of training",
    "work:key:1": "the key of the first checkpoint",
    "work:file:1": "the file of the first checkpoint",
    "work:key:2": "the word that it is there",
    "work:commit:3": "the record of the first checkpoint",
    "work:key:3": "the key of the second checkpoint",
    "work:file:2": "the file of the second checkpoint",
    "work:key:4": "the word that it is there",
    "work:commit:4": "the record of the second checkpoint",
    "work:commit:5": "the stage of storing",
    "work:key:5": "the key of the weights",
    "work:file:3": "the weights",
    "work:key:6": "the word that they are there",
    "work:commit:6": "the finish, with its model version",
    "work:ring:1": "the ring for the next job",
}
BEAT = "heart:commit:1"
FINISH = "work:commit:6"
# Of a web process: a job was accepted, and is rung for.
BELL = "work:bell:1"

_counted: Counter[str] = Counter()


def install(wanted: str | None, *, mark: Path) -> None:
    """Die once at `wanted`, such as `work:commit:3:before`; `mark` remembers that it has happened.

    With `record` nobody dies, and the points that were passed are written into `mark`. FAULT_SIGNAL=SIGSTOP freezes the
    process there instead, so that a test can break something at that very moment.
    """
    if wanted is None:
        return
    main, harm = os.getpid(), signal.Signals[os.environ.get("FAULT_SIGNAL", "SIGKILL")]
    os.register_at_fork(after_in_child=_counted.clear)

    def meet(what: str, when: str) -> None:
        if os.getpid() == main:
            return
        who = "heart" if threading.current_thread().name == "heart" else "work"
        place = f"{who}:{what}"
        if when == "before":
            _counted[place] += 1
        point = f"{place}:{_counted[place]}:{when}"
        if wanted == "record":
            with mark.open("a") as file:
                file.write(f"{point}\n")
        elif point == wanted and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), harm)

    _around_commits(meet)
    _around(Objects, "put", "file", meet)
    _around(queue, "send", "ring", meet)
    _around(Bell, "ring", "bell", meet)


def _around(owner: Any, name: str, what: str, meet: Callable[[str, str], None]) -> None:
    real = getattr(owner, name)

    def around(*arguments: Any, **named: Any) -> Any:
        meet(what, "before")
        said = real(*arguments, **named)
        meet(what, "after")
        return said

    setattr(owner, name, around)


def _around_commits(meet: Callable[[str, str], None]) -> None:
    real = Database.transaction

    @contextmanager
    def transaction(self: Database) -> Iterator[Connection]:
        # What the key store commits is counted by itself.
        what = "key" if self._erases else "commit"
        with real(self) as sql:
            yield sql
            meet(what, "before")
        meet(what, "after")

    Database.transaction = transaction  # type: ignore[method-assign]
