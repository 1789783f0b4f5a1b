"""Has recordings heard in confined processes, several ahead of the one that is needed, and checks what they say.

Needs neither NumPy nor TensorFlow: it runs beside the network, where no recording may be opened.
"""

import math
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass, field
from itertools import count, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shared.errors import Fault, TryAgain
from worker import cores
from worker.audio.limits import SAID, AudioLimits, TrackBounds
from worker.zygote import GoneError, Zygote

# How often `check` is called while nothing is heard.
PATIENCE_S = 0.5
# Silent for so long beyond the time of one recording, the process is no longer believed in.
GRACE_S = 60.0
STARTS, DEATHS = 3, 2
# Each waits in scratch, with half an hour of WAV at 320 MB: on the largest machines not all processors are kept busy.
MOST_AHEAD = 32
# Characters of a sentence.
LONGEST = 1000
# What is announced, and the bytes of one of it: samples of a wave, rows of 96 bands.
SAMPLE_BYTES, ROW_BYTES = 4, 4 * 96

Json = dict[str, Any]  # Any: JSON
Check = Callable[[], None]


@dataclass(frozen=True)
class Request:
    """What is to be heard in one recording: `want` as worker/audio/ear.py reads it, its paths in a folder of ours."""

    id: int
    path: Path
    name: str
    want: Json
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class Answer:
    """What was heard, or the fault that kept it from being heard."""

    id: int
    heard: Json | None = None
    fault: Fault | None = None


@dataclass
class Asked:
    """A request on its way, under a number that no other of this ear has had: ids are the caller's."""

    number: int
    request: Request
    is_sent: bool = False
    deaths: int = 0
    answer: Answer | None = None

    @property
    def is_open(self) -> bool:
        return self.is_sent and self.answer is None


@dataclass
class Turn:
    """One list that is listened to, with a process of its own as soon as it needs one."""

    zygote: Zygote | None
    asked: deque[Asked] = field(default_factory=deque)


class Ears:
    """Listens to recordings as long as the context lasts; nothing runs before the first, or after the last."""

    def __init__(
        self,
        *,
        parallel: int | None = None,
        limits: AudioLimits = AudioLimits(),  # noqa: B008 — frozen
        bounds: TrackBounds | None = None,
        module: str = "worker.audio.ear",
    ) -> None:
        self._module, self._parallel = module, parallel or cores.count()
        self._limits, self._bounds = limits, bounds or TrackBounds.of(limits)
        self._numbers = count()
        self._alive: list[Zygote] = []
        # Of those the one that waits for the next list.
        self._idle: Zygote | None = None
        self._failed_starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for zygote in list(self._alive):
            self._stop(zygote)

    def listen(self, requests: Iterable[Request], *, ahead: int, check: Check) -> Generator[Answer, None, None]:
        """Answers in the order of the requests, while up to `ahead` further recordings, 32 at most, are heard already.

        `check` is called at least once a second while this waits; it may raise, which ends what is being heard. What is
        wrong with a recording is in its answer; TryAgain is raised where the disk is full, or nothing can be heard.
        """
        coming, turn = iter(requests), Turn(self._idle)
        self._idle = None
        try:
            while True:
                for request in islice(coming, 1 + min(ahead, MOST_AHEAD) - len(turn.asked)):
                    turn.asked.append(Asked(next(self._numbers), request))
                    # It is heard while the next one is fetched.
                    self._attend(turn, patience_s=0.0)
                if not turn.asked:
                    return
                yield self._answer(turn, check)
                turn.asked.popleft()
        finally:
            self._end(turn)

    def _answer(self, turn: Turn, check: Check) -> Answer:
        """The answer to the first of those asked."""
        while True:
            check()
            if answer := turn.asked[0].answer:
                return answer
            self._attend(turn, patience_s=PATIENCE_S)

    def _attend(self, turn: Turn, *, patience_s: float) -> None:
        """Send what is not sent, and take the answers that come within a time."""
        zygote = turn.zygote = turn.zygote or self._start()
        _send(zygote, turn.asked)
        try:
            for message in zygote.listen(patience_s):
                self._settle(message, turn.asked)
            self._doubt(zygote)
        except GoneError:
            self._mourn(zygote, turn)

    def _start(self) -> Zygote:
        zygote = Zygote(self._module, parallel=self._parallel, limits=self._limits, bounds=self._bounds)
        self._alive.append(zygote)
        return zygote

    def _end(self, turn: Turn) -> None:
        """Keep the process for the next list; whoever left in the middle has no use for the rest of it."""
        if turn.zygote not in self._alive:
            return
        if self._idle is None and not any(one.is_open for one in turn.asked):
            self._idle = turn.zygote
        else:
            self._stop(turn.zygote)

    def _settle(self, message: Json, asked: Iterable[Asked]) -> None:
        one = next((one for one in asked if one.is_open and one.number == message["id"]), None)
        if one is None:
            raise GoneError
        one.answer = _read(message, one.request)

    def _doubt(self, zygote: Zygote) -> None:
        if time.monotonic() - zygote.heard_at > self._bounds.wall_s + GRACE_S:
            raise GoneError

    def _mourn(self, zygote: Zygote, turn: Turn) -> None:
        """Ask again what was open when the process died, and blame what was open twice."""
        turn.zygote = None
        self._stop(zygote)
        self._failed_starts = 0 if zygote.is_ready else self._failed_starts + 1
        if self._failed_starts >= STARTS:
            raise TryAgain("The process that hears recordings does not start.", code="decoder_unavailable")
        for one in turn.asked:
            if one.is_open:
                one.is_sent = False
                one.deaths += zygote.is_ready
                one.answer = _crashed(one.request) if one.deaths >= DEATHS else None

    def _stop(self, zygote: Zygote) -> None:
        # Once only: the number of a process that is gone may be another's.
        if zygote in self._alive:
            self._alive.remove(zygote)
            zygote.kill()
        if zygote is self._idle:
            self._idle = None


def _send(zygote: Zygote, asked: Iterable[Asked]) -> None:
    """Send what is not sent. A suspect is heard alone, so that it drags no other down with it a second time."""
    due = [one for one in asked if not one.is_sent and one.answer is None]
    if suspects := [one for one in asked if one.deaths and one.answer is None]:
        is_busy = any(one.is_open for one in asked)
        due = [] if is_busy else suspects[:1]
    for one in due:
        request = one.request
        zygote.say({**asdict(request), "id": one.number, "path": str(request.path.absolute())})
        one.is_sent = True


def _read(message: Json, request: Request) -> Answer:
    """What a child said, believed only where it has the shape of an answer and its files are what it says."""
    fault, heard = message.get("fault"), message.get("heard")
    if isinstance(fault, dict) and all(_is_said(fault.get(name)) for name in ("code", "detail")):
        if fault["code"] in ("disk_full", "decoder_unavailable"):
            raise TryAgain(SAID[fault["code"]], code=fault["code"])
        return Answer(request.id, fault=Fault(fault["detail"], file=request.name, code=fault["code"]))
    if isinstance(heard, dict) and _is_whole(heard, request.want) and _are_there(heard, request.want):
        return Answer(request.id, heard=heard)
    return _crashed(request)


def _is_said(words: object) -> bool:
    return isinstance(words, str) and words.isprintable() and len(words) <= LONGEST


def _is_whole(heard: Json, want: Json) -> bool:
    duration_s = heard.get("duration_s")
    return (
        isinstance(heard.get("format"), str)
        and all(type(heard.get(name)) is int and heard[name] > 0 for name in ("rate_hz", "channels"))
        and isinstance(duration_s, float)
        and math.isfinite(duration_s)
        and duration_s > 0
        and isinstance(heard.get("truncated"), bool)
        and all(isinstance(heard.get(name), dict) for name in want)
    )


def _are_there(heard: Json, want: Json) -> bool:
    """Whether each file that was wanted is a plain one of the size that was announced."""
    waves = want.get("wave", {})
    announced = [(path, heard["wave"].get(rate), SAMPLE_BYTES) for rate, path in waves.items()]
    if "mel" in want:
        announced.append((want["mel"], heard["mel"].get("frames"), ROW_BYTES))
    if "clip" in want:
        announced.append((want["clip"]["path"], heard["clip"].get("bytes"), 1))
    return all(_is_file(path, count, unit) for path, count, unit in announced)


def _is_file(path: str, count: object, unit: int) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return isinstance(count, int) and stat.S_ISREG(found.st_mode) and found.st_size == count * unit


def _crashed(request: Request) -> Answer:
    return Answer(request.id, fault=Fault(SAID["decoder_crashed"], file=request.name, code="decoder_crashed"))
