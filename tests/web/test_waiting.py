"""The waiting room: one thread asks for all, and nobody waits beyond the limit."""

import threading

import pytest

from shared.database import Database
from tests.waiting import until
from web.waiting import Stay, WaitingRoom


def test_a_room_outlives_what_nobody_foresaw(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    room = WaitingRoom(database, 10)
    monkeypatch.setattr(WaitingRoom, "_ask", lambda *_: 1 / 0)
    first, second = threading.Event(), threading.Event()

    room.enter(Stay("job_1", 0, is_for_end=True, limit_s=0.2), first.set)
    assert until(first.is_set)
    room.enter(Stay("job_2", 0, is_for_end=True, limit_s=0.2), second.set)

    assert until(second.is_set)


def test_a_full_room_takes_nobody(database: Database) -> None:
    room = WaitingRoom(database, 1)
    stay = Stay("job_1", 0, is_for_end=True, limit_s=30.0)

    guest = room.enter(stay, lambda: None)
    assert guest is not None
    assert room.enter(stay, lambda: None) is None
    room.leave(guest)

    assert room.enter(stay, lambda: None) is not None
