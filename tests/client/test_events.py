"""`etude events` and `Client.events`, against a whole service; and what the stream's reader makes of its lines."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from etude import events, show_events

from tests.client.conftest import Shell

DONE = ("--param", "epochs=2")


def test_a_job_is_followed_to_its_end(shell: Shell, songs: Path) -> None:
    job = shell.run("train", str(songs), "--target", "genre", *DONE, "--json").json["id"]

    followed = shell.run("events", job, "--follow", "--json")
    listed = shell.run("events", job, "--json")
    told = shell.run("events", job, "--type", "state")

    lines = [json.loads(line) for line in followed.out.splitlines()]
    kept = [line for line in lines if line["type"] != "progress"]
    assert followed.code == 0, followed.err
    assert [line["id"] for line in kept] == list(range(1, len(kept) + 1))
    assert kept[-1]["data"]["state"] == "succeeded"
    assert [json.loads(line) for line in listed.out.splitlines()] == kept
    assert "queued" in told.out and "succeeded" in told.out and "training" not in told.out


def test_all_jobs_are_told_of_from_where_one_was(shell: Shell, songs: Path) -> None:
    job = shell.run("train", str(songs), "--target", "genre", *DONE, "--watch", "--json").json["id"]

    everything = [json.loads(line) for line in shell.run("events", "--json").out.splitlines()]
    mine = [event for event in everything if event["job"] == job]
    rest = [json.loads(line) for line in shell.run("events", "--after", str(mine[0]["id"]), "--json").out.splitlines()]
    states = [json.loads(line) for line in shell.run("events", "--type", "state", "--json").out.splitlines()]

    assert [event["number"] for event in mine] == list(range(1, len(mine) + 1))
    assert rest == everything[everything.index(mine[0]) + 1 :]
    assert {event["type"] for event in states} == {"state"}


def test_a_terminal_is_told_as_it_happens(shell: Shell, songs: Path) -> None:
    terminal = shell.open("events", "--follow")
    assert shell.run("train", str(songs), "--target", "genre", *DONE, "--watch").code == 0

    terminal.read_until("succeeded")

    assert terminal.stop() == 130


def test_a_job_that_is_not_there(shell: Shell) -> None:
    for more in ((), ("--follow",)):
        assert shell.run("events", "job_nothing", *more).code == 3


class Broken:
    """A service whose stream breaks after each piece; it notes from where each next one was asked for."""

    def __init__(self, pieces: list[str | None]) -> None:
        self._pieces, self.asked = iter(pieces), list[str]()

    @contextmanager
    def streamed(self, path: str, *, query: Any, headers: dict[str, str]) -> Iterator[httpx.Response]:
        self.asked.append(headers["Last-Event-ID"])
        piece = next(self._pieces)
        yield httpx.Response(204) if piece is None else httpx.Response(200, stream=Torn(piece))


class Torn(httpx.SyncByteStream):
    def __init__(self, text: str) -> None:
        self._text = text

    def __iter__(self) -> Iterator[bytes]:
        yield self._text.encode()
        raise httpx.ReadError("the connection broke")


def piece(number: int) -> str:
    return f'id: {number}\nevent: state\ndata: {{"id": {number}}}\n\n'


def test_a_stream_that_breaks_is_taken_up_where_it_broke(monkeypatch: Any) -> None:
    monkeypatch.setattr(events, "PAUSE_S", 0.0)
    half = 'id: 4\nevent: state\ndata: {"id'
    first = "retry: 1000\n\n: beat\n\n" + piece(1) + piece(2)
    second = 'event: progress\ndata: {"type": "progress"}\n\n' + piece(3) + half
    service = Broken([first, second, ": beat\nid: 9\n\n", piece(10), None])

    told = list(events.followed(service, None, after="0", types=()))  # type: ignore[arg-type]

    assert [event.get("id", event.get("type")) for event in told] == [1, 2, "progress", 3, 10]
    # What was cut off is asked for again; a beat may carry the place on.
    assert service.asked == ["0", "2", "3", "9", "10"]


def test_what_an_event_says() -> None:
    assert (
        show_events.words("state", {"state": "queued", "reason": "worker_lost", "outcome": "lost"})
        == "queued worker_lost"
    )
    assert show_events.words("stage", {"state": "running", "stage": "training"}) == "training"
    assert show_events.words("warning", {"code": "one_item"}) == "code one_item"
    progress = {"stage": "training", "progress": {"done": 3, "total": 10, "unit": "epochs"}}
    assert show_events.words("progress", progress) == "training 3/10 epochs"
