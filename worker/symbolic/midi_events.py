"""The events of a track of a MIDI file, each checked: what is wrong ends the reading with a sentence.

Libraries read on where a file lies: an infinite tempo, a pitch of 252, a note that begins on day 300.
"""

from collections.abc import Iterator
from typing import NamedTuple

from worker.symbolic.flaws import Flaw

META, SYSEX, ESCAPE = 0xFF, 0xF0, 0xF7
END_OF_TRACK = 0x2F
LONGEST_NUMBER = 4  # bytes, as the standard says
PROGRAM, PRESSURE = 0xC0, 0xD0


class Event(NamedTuple):
    """At `tick`: a channel's message and its data, or META with its type as `first` and its content as `text`."""

    tick: int
    status: int
    first: int
    second: int
    text: bytes = b""


def walk(data: bytes, *, most_ticks: int, where: str) -> Iterator[Event]:
    """The events of one chunk MTrk until its end. Raises Flaw with the place of what no MIDI file may hold."""
    at = tick = running = 0
    size = len(data)
    while at < size:
        delta, at = _number(data, at, where)
        tick += delta
        if tick > most_ticks:
            raise Flaw("piece_too_long", f"{where}: an event lies {tick:,} ticks after the beginning: that is no music")
        if at >= size:
            raise _cut(where)
        status = data[at]
        if status < META and status >= SYSEX:
            at = _skip_exclusive(data, at, where)
            running = 0
        elif status == META:
            kind, text, at = _meta(data, at, where)
            if kind == END_OF_TRACK:
                yield Event(tick, META, kind, 0)
                return
            yield Event(tick, META, kind, 0, text)
        else:
            # A message may leave out its first byte when it is the one of the message before.
            if status >= 0x80:
                running, at = status, at + 1
            if not running:
                said = f"{where}: expected an event at byte {at}, received data of none"
                raise Flaw("midi_corrupt", said)
            first, second, at = _data(data, at, running, where)
            yield Event(tick, running, first, second)
    yield Event(tick, META, END_OF_TRACK, 0)


def _number(data: bytes, at: int, where: str) -> tuple[int, int]:
    """A number of variable length, and where what follows begins."""
    number = 0
    for place in range(at, at + LONGEST_NUMBER):
        if place >= len(data):
            raise _cut(where)
        number = number << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return number, place + 1
    raise Flaw("midi_corrupt", f"{where}: expected a number of at most {LONGEST_NUMBER} bytes at byte {at}")


def _data(data: bytes, at: int, status: int, where: str) -> tuple[int, int, int]:
    """The one or two bytes of data of a channel's message."""
    count = 1 if status & 0xF0 in (PROGRAM, PRESSURE) else 2
    if at + count > len(data):
        raise _cut(where)
    first, second = data[at], data[at + 1] if count == 2 else 0
    if first > 0x7F or second > 0x7F:
        said = f"{where}: expected data from 0 to 127 at byte {at}, received more"
        raise Flaw("midi_corrupt", said)
    return first, second, at + count


def _meta(data: bytes, at: int, where: str) -> tuple[int, bytes, int]:
    if at + 1 >= len(data):
        raise _cut(where)
    length, start = _number(data, at + 2, where)
    if start + length > len(data):
        raise _cut(where)
    return data[at + 1], data[start : start + length], start + length


def _skip_exclusive(data: bytes, at: int, where: str) -> int:
    if data[at] not in (SYSEX, ESCAPE):
        said = f"{where}: expected an event at byte {at}, received one that stands in no file"
        raise Flaw("midi_corrupt", said)
    length, start = _number(data, at + 1, where)
    if start + length > len(data):
        raise _cut(where)
    return start + length


def _cut(where: str) -> Flaw:
    return Flaw("midi_truncated", f"{where} ends in the middle of an event: the file is cut off, or damaged")
