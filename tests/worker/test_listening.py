"""Ears: answers in order while others are heard ahead, whatever happens to the process that hears them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.errors import JobCancelled, TryAgain
from tests.worker.audio import sounds
from worker import cores, listening
from worker.audio.limits import AudioLimits, TrackBounds
from worker.listening import Answer, Ears, Request

ROOT = Path(__file__).parents[2]
WAIT_AT_MOST_S = 60.0


def ears(*, parallel: int = 2, **rest: Any) -> Ears:
    return Ears(parallel=parallel, module="tests.worker.audio.odd_ear", **rest)


def no_check() -> None:
    pass


class Watch:
    """A check that fails a test which waits for ever, and may do something once a file is there."""

    def __init__(self, path: Path | None = None, act: Callable[[], None] = no_check) -> None:
        self.calls, self._path, self._act = 0, path, act
        self._until = time.monotonic() + WAIT_AT_MOST_S

    def __call__(self) -> None:
        self.calls += 1
        assert time.monotonic() < self._until, "nothing was heard"
        if self._path is not None and self._path.exists():
            self._path = None
            self._act()


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sounds.make(tmp_path_factory.mktemp("songs") / "song.wav")


@pytest.fixture(scope="module")
def lasting() -> Iterator[Ears]:
    """One ear for the tests that ask it a question each."""
    with ears() as listener:
        yield listener


def odd(id: int, song: Path, do: str, **rest: Any) -> Request:
    return Request(id, song, song.name, {"odd": {"do": do, **{name: str(value) for name, value in rest.items()}}})


def plain(id: int, song: Path) -> Request:
    return Request(id, song, song.name, {"quality": True})


def codes(answers: list[Answer]) -> dict[int, str | None]:
    return {answer.id: answer.fault.code if answer.fault else None for answer in answers}


def processes(session: int) -> list[int]:
    """Who lives in a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[3] == str(session) and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def pid_of(listener: Ears) -> int:
    (zygote,) = listener._alive
    return zygote.pid


def wait_for(path: Path) -> None:
    until = time.monotonic() + WAIT_AT_MOST_S
    while not path.exists():
        assert time.monotonic() < until, "nothing was heard"
        time.sleep(0.01)


def wait_until_gone(session: int) -> None:
    until = time.monotonic() + WAIT_AT_MOST_S
    while left := processes(session):
        assert time.monotonic() < until, f"{left} are still there"
        time.sleep(0.02)


def test_answers_come_in_the_order_of_the_requests(tmp_path: Path, song: Path, lasting: Ears) -> None:
    # The first waits for the last of those that are heard with it.
    slow = odd(0, song, "meet", here=tmp_path / "a", there=tmp_path / "2")
    requests = [slow, *(odd(id, song, "note", here=tmp_path / str(id)) for id in range(1, 6))]

    answers = list(lasting.listen(requests, ahead=2, check=Watch()))

    assert [answer.id for answer in answers] == [0, 1, 2, 3, 4, 5]
    assert set(codes(answers).values()) == {None}


def test_recordings_are_heard_side_by_side(tmp_path: Path, song: Path, lasting: Ears) -> None:
    requests = [
        odd(0, song, "meet", here=tmp_path / "a", there=tmp_path / "b"),
        odd(1, song, "meet", here=tmp_path / "b", there=tmp_path / "a"),
    ]

    answers = list(lasting.listen(requests, ahead=1, check=Watch()))

    assert codes(answers) == {0: None, 1: None}


def test_no_more_than_so_many_are_heard_ahead(tmp_path: Path, song: Path, lasting: Ears) -> None:
    taken: list[int] = []

    def requests() -> Iterator[Request]:
        for id in range(12):
            taken.append(id)
            yield plain(id, song)

    seen = []
    for answer in lasting.listen(requests(), ahead=3, check=Watch()):
        seen.append((answer.id, len(taken)))

    assert seen == [(id, min(12, id + 4)) for id in range(12)]


def test_a_recording_is_heard_while_the_next_is_fetched(tmp_path: Path, song: Path, lasting: Ears) -> None:
    def requests() -> Iterator[Request]:
        yield odd(0, song, "note", here=tmp_path / "heard")
        wait_for(tmp_path / "heard")
        yield plain(1, song)

    answers = list(lasting.listen(requests(), ahead=1, check=Watch()))

    assert codes(answers) == {0: None, 1: None}


def test_however_many_may_be_heard_ahead_few_are_fetched(song: Path, lasting: Ears) -> None:
    taken: list[int] = []

    def requests() -> Iterator[Request]:
        for id in range(50):
            taken.append(id)
            yield plain(id, song)

    answers = lasting.listen(requests(), ahead=1000, check=Watch())
    next(answers)

    assert len(taken) == 1 + listening.MOST_AHEAD
    assert len(list(answers)) == 49


def test_others_are_heard_while_an_answer_is_used(tmp_path: Path, song: Path, lasting: Ears) -> None:
    requests = [plain(0, song), odd(1, song, "note", here=tmp_path / "heard")]

    answers = lasting.listen(requests, ahead=1, check=Watch())
    next(answers)
    wait_for(tmp_path / "heard")

    assert next(answers).heard is not None


def test_one_ear_serves_one_list_after_the_other(song: Path) -> None:
    with ears() as listener:
        first = list(listener.listen([plain(0, song)], ahead=4, check=Watch()))
        pid = pid_of(listener)
        second = list(listener.listen([plain(0, song), plain(1, song)], ahead=0, check=Watch()))

        assert pid_of(listener) == pid

    assert codes([*first, *second]) == {0: None, 1: None}
    assert first[0] == second[0]


def test_nothing_is_asked_and_nothing_runs_without_requests() -> None:
    with ears() as listener:
        assert list(listener.listen([], ahead=3, check=no_check)) == []
        assert listener._alive == []


def test_a_refused_recording_names_its_file_and_says_why(tmp_path: Path, song: Path, lasting: Ears) -> None:
    (tmp_path / "x").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))

    requests = [Request(0, tmp_path / "x", "cover.wav", {}), plain(1, song)]
    refused, heard = lasting.listen(requests, ahead=1, check=Watch())

    assert refused.heard is None and refused.fault is not None
    assert (refused.fault.code, refused.fault.file) == ("unsupported_format", "cover.wav")
    assert "a PNG image" in refused.fault.message
    assert heard.heard is not None


def test_limits_and_bounds_reach_the_child(song: Path) -> None:
    with ears(limits=AudioLimits(seconds=3.0)) as listener:
        (answer,) = listener.listen([plain(0, song)], ahead=0, check=Watch())
    with ears(limits=AudioLimits(seconds=600.0)) as listener:
        (told,) = listener.listen([odd(0, song, "tell")], ahead=0, check=Watch())

    assert codes([answer]) == {0: "audio_too_long"}
    assert told.heard is not None and told.heard["odd"]["limits"]["CPU"] == [180, 185]


def test_the_process_knows_no_secret(monkeypatch: pytest.MonkeyPatch, song: Path) -> None:
    monkeypatch.setenv("ETUDE_DATABASE_URL", "postgresql://secret")

    with ears() as listener:
        (told,) = listener.listen([odd(0, song, "tell")], ahead=0, check=Watch())

    assert told.heard is not None
    assert not [name for name in told.heard["odd"]["environment"] if name.startswith(("ETUDE", "AWS", "REDIS"))]


def test_a_check_that_raises_ends_all_that_is_heard(tmp_path: Path, song: Path) -> None:
    pids: list[int] = []

    def cancel() -> None:
        pids.append(pid_of(listener))
        raise JobCancelled

    requests = [odd(0, song, "meet", here=tmp_path / "here", there=tmp_path / "never"), odd(1, song, "wait")]

    with ears() as listener:
        with pytest.raises(JobCancelled):
            next(listener.listen(requests, ahead=1, check=Watch(tmp_path / "here", cancel)))

        wait_until_gone(pids[0])
        # The next list is heard by another process.
        assert codes(list(listener.listen([plain(0, song)], ahead=0, check=Watch()))) == {0: None}


def test_check_is_called_while_nothing_is_heard(tmp_path: Path, song: Path, lasting: Ears) -> None:
    check = Watch()

    def called_five_times() -> None:
        check()
        if check.calls == 5:
            (tmp_path / "go").touch()

    request = odd(0, song, "meet", here=tmp_path / "here", there=tmp_path / "go")
    (answer,) = lasting.listen([request], ahead=0, check=called_five_times)

    assert answer.heard is not None and check.calls >= 5


def test_who_stops_listening_leaves_nothing_behind(tmp_path: Path, song: Path) -> None:
    with ears() as listener:
        answers = listener.listen([plain(0, song), odd(1, song, "wait")], ahead=1, check=Watch())
        next(answers)
        pid = pid_of(listener)

        answers.close()

        wait_until_gone(pid)


def test_who_stops_listening_late_disturbs_no_later_list(tmp_path: Path, song: Path) -> None:
    # The same ids in both lists; what is wanted differs.
    left = [plain(0, song), odd(1, song, "meet", here=tmp_path / "a", there=tmp_path / "b")]
    later = [plain(0, song), plain(1, song), odd(2, song, "meet", here=tmp_path / "c", there=tmp_path / "d")]

    with ears() as listener:
        suspended = listener.listen(left, ahead=1, check=Watch())
        next(suspended)
        first = pid_of(listener)
        wait_for(tmp_path / "a")
        answers = listener.listen(later, ahead=2, check=Watch())
        found = [next(answers)]
        (tmp_path / "b").touch()
        found.append(next(answers))
        wait_for(tmp_path / "c")
        suspended.close()
        wait_until_gone(first)
        second = pid_of(listener)
        (tmp_path / "d").touch()

        assert codes([*found, *answers]) == {0: None, 1: None, 2: None}
        # And the one that served is kept for the next list.
        assert pid_of(listener) == second != first


def test_who_stops_listening_after_the_end_stops_nothing_twice(song: Path) -> None:
    with ears() as listener:
        answers = listener.listen([plain(0, song), odd(1, song, "wait")], ahead=1, check=Watch())
        next(answers)

    answers.close()

    assert listener._alive == []


def test_what_was_heard_when_the_process_died_is_heard_again(tmp_path: Path, song: Path) -> None:
    killed: list[int] = []

    def kill() -> None:
        killed.append(pid_of(listener))
        os.kill(killed[0], signal.SIGKILL)
        (tmp_path / "b").touch()

    requests = [
        plain(0, song),
        odd(1, song, "meet", here=tmp_path / "a", there=tmp_path / "b"),
        plain(2, song),
        plain(3, song),
    ]

    with ears() as listener:
        answers = list(listener.listen(requests, ahead=2, check=Watch(tmp_path / "a", kill)))
        assert pid_of(listener) != killed[0]

    assert codes(answers) == {0: None, 1: None, 2: None, 3: None}
    wait_until_gone(killed[0])


@pytest.mark.usefixtures("a_machine_without_layers")
def test_a_recording_that_kills_the_process_twice_is_blamed_and_no_other(song: Path) -> None:
    requests = [plain(0, song), odd(1, song, "kill_parent"), *(plain(id, song) for id in range(2, 6))]

    with ears() as listener:
        answers = list(listener.listen(requests, ahead=4, check=Watch()))

    assert codes(answers) == {0: None, 1: "decoder_crashed", 2: None, 3: None, 4: None, 5: None}


@pytest.mark.usefixtures("a_machine_without_layers")
def test_a_process_that_stands_still_is_replaced(tmp_path: Path, song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "GRACE_S", 1.0)
    requests = [odd(0, song, "stop_parent_once", here=tmp_path / "here"), plain(1, song)]

    with ears(bounds=TrackBounds(wall_s=4.0)) as listener:
        answers = list(listener.listen(requests, ahead=1, check=Watch()))

    assert (tmp_path / "here").exists()
    assert codes(answers) == {0: None, 1: None}


def test_a_process_that_does_not_start_is_no_fault_of_the_recording(song: Path) -> None:
    with Ears(module="tests.worker.audio.no_ear") as listener, pytest.raises(TryAgain) as again:
        list(listener.listen([plain(0, song)], ahead=0, check=Watch()))

    assert again.value.code == "decoder_unavailable"


def test_files_are_what_the_answer_says(tmp_path: Path, song: Path, lasting: Ears) -> None:
    wave, clip, rows = tmp_path / "a.f32", tmp_path / "a.wav", tmp_path / "a.mel"
    want = {
        "wave": {"16000": str(wave)},
        "mel": str(rows),
        "clip": {"path": str(clip), "start_s": 0.0, "end_s": 1.0},
    }

    (answer,) = lasting.listen([Request(0, song, "a.wav", want)], ahead=0, check=Watch())

    assert answer.heard is not None
    assert wave.stat().st_size == 4 * 64_000 and rows.stat().st_size == 251 * 96 * 4
    assert clip.stat().st_size == 44 + 44_100 * 4


@pytest.mark.usefixtures("a_machine_without_layers")
@pytest.mark.parametrize("file", ["a.f32", "a.mel", "a.wav"])
@pytest.mark.parametrize("do", ["link", "shorten"])
def test_a_file_that_is_a_link_or_of_another_size_is_not_believed(
    tmp_path: Path, song: Path, file: str, do: str
) -> None:
    want = {
        "wave": {"16000": str(tmp_path / "a.f32")},
        "mel": str(tmp_path / "a.mel"),
        "clip": {"path": str(tmp_path / "a.wav"), "start_s": 0.0, "end_s": 1.0},
        "odd": {"do": do, "path": str(tmp_path / file), "to": str(tmp_path / "real")},
    }

    with ears() as listener:
        (answer,) = listener.listen([Request(0, song, "a.wav", want)], ahead=0, check=Watch())

    assert codes([answer]) == {0: "decoder_crashed"}


@pytest.mark.parametrize("code", ["disk_full", "decoder_unavailable"])
def test_what_the_machine_lacks_is_no_fault_of_the_recording_whatever_the_child_says_of_it(
    song: Path, code: str
) -> None:
    said = json.dumps({"fault": {"code": code, "detail": "words of the file"}})
    with ears() as listener, pytest.raises(TryAgain) as again:
        list(listener.listen([odd(0, song, "lie", line=f"{said}\n")], ahead=0, check=Watch()))

    assert again.value.code == code
    assert "words" not in str(again.value)


def test_a_full_disk_is_no_fault_of_the_recording(song: Path) -> None:
    with ears() as listener, pytest.raises(TryAgain) as again:
        list(listener.listen([odd(0, song, "full")], ahead=0, check=Watch()))

    assert again.value.code == "disk_full"


@pytest.mark.parametrize(
    "said",
    [
        {"heard": {}},
        {"heard": []},
        {"heard": {"format": "wav", "rate_hz": 8000, "channels": 1, "duration_s": 1.0, "truncated": False}},
        {"heard": {"format": "wav", "rate_hz": 0, "channels": 1, "duration_s": 1.0, "truncated": False, "odd": {}}},
        {"heard": {"format": "wav", "rate_hz": 8000, "channels": 1, "duration_s": -1.0, "truncated": False, "odd": {}}},
        {"heard": {"format": "wav", "rate_hz": 8000, "channels": 1, "duration_s": "1", "truncated": False, "odd": {}}},
        {"fault": {"code": "x"}},
        {"fault": {"code": "x", "detail": "a\nb"}},
        {"fault": {"code": "x", "detail": "a" * 2000}},
        {"fault": "x"},
    ],
)
def test_an_answer_of_another_shape_is_not_believed(song: Path, lasting: Ears, said: dict[str, Any]) -> None:
    requests = [odd(0, song, "lie", line=json.dumps(said) + "\n"), plain(1, song)]
    answers = list(lasting.listen(requests, ahead=1, check=Watch()))

    assert codes(answers) == {0: "decoder_crashed", 1: None}


def test_nothing_is_left_open_or_running(song: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    pids = []

    for _ in range(3):
        with ears() as listener:
            list(listener.listen([plain(0, song), plain(1, song)], ahead=1, check=Watch()))
            pids.append(pid_of(listener))

    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert [pid for pid in pids if processes(pid)] == []


def test_all_dies_with_the_worker(tmp_path: Path, song: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from worker.listening import Ears, Request\n"
        "ears = Ears(parallel=2, module='tests.worker.audio.odd_ear')\n"
        "want = {'odd': {'do': 'meet', 'here': sys.argv[2], 'there': '/nowhere'}}\n"
        "requests = [Request(0, Path(sys.argv[1]), 'song.wav', want)]\n"
        "check = lambda: print(ears._alive[0].pid if ears._alive else 0, flush=True)\n"
        "list(ears.listen(requests, ahead=1, check=check))"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script, str(song), str(tmp_path / "here")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    session = next(pid for line in worker.stdout if (pid := int(line)) and (tmp_path / "here").exists())
    assert len(processes(session)) == 2

    worker.send_signal(signal.SIGKILL)
    worker.communicate()

    wait_until_gone(session)


def test_many_recordings_leave_no_memory_behind(song: Path) -> None:
    def use(pid: int) -> int:
        return int(psutil.Process(pid).memory_info().rss)

    with ears() as listener:
        list(listener.listen((plain(id, song) for id in range(20)), ahead=4, check=Watch()))
        pids = [os.getpid(), pid_of(listener)]
        before = [use(pid) for pid in pids]
        heard = sum(1 for _ in listener.listen((plain(id, song) for id in range(100)), ahead=4, check=Watch()))
        grown = [use(pid) - had for pid, had in zip(pids, before, strict=True)]

    assert heard == 100
    # Some 5 kB a recording; a song has 700, and 30 kept of each were seen here.
    assert max(grown) < 512 * 1024, grown


def test_the_worker_needs_neither_numpy_nor_tensorflow() -> None:
    script = (
        "import sys, worker.listening;"
        " print([name for name in ('numpy', 'soundfile', 'tensorflow') if name in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"


def test_as_many_are_heard_at_once_as_there_are_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    allowed = cores.count()
    monkeypatch.delattr(os, "sched_getaffinity")
    untold = cores.count()

    assert (allowed, untold) == (1, os.cpu_count())
