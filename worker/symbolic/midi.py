"""MIDI files of type 0 and 1 as pieces: a voice for every channel of every track that has notes."""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from worker.symbolic import bounds
from worker.symbolic.flaws import Flaw
from worker.symbolic.midi_events import END_OF_TRACK, META, Event, walk
from worker.symbolic.piece import NOTE, TICKS, Key, Meter, Piece, Tempo, Voice

HEADER, TRACK = b"MThd", b"MTrk"
HEADER_BYTES, CHUNK_BYTES = 6, 8
MOST_BYTES = 16 * bounds.MiB
# Large orchestral scores have 60; a header may say 65,535, and readers make room for them.
MOST_TRACKS = 1_024
NOTE_OFF, NOTE_ON, PROGRAM = 0x80, 0x90, 0xC0
DRUMS = 9  # channel 10, counted from 0
NAME, TEMPO, METER, KEY = 0x03, 0x51, 0x58, 0x59
MINUTE_US = 60_000_000
# A division from here on is of a frame of film; how many frames are in how many seconds, 29 being 29.97.
FILM = 0x8000
FRAMES_A_SECOND = {24: (24, 1), 25: (25, 1), 29: (30_000, 1001), 30: (30, 1)}
FILM_BPM = 120.0


def read(content: bytes, name: str) -> Piece:
    """The piece that a MIDI file holds. Raises Flaw."""
    raw, chunks = _chunks(content)
    division, scale = _division(raw)
    most_ticks = bounds.MOST_QUARTERS * division // scale
    song = _Song(division, scale, has_tempo=raw < FILM)
    for number, chunk in enumerate(chunks, start=1):
        track = _Track(number, song)
        for event in walk(chunk, most_ticks=most_ticks, where=f"track {number}"):
            track.take(event)
    return bounds.check(song.piece(name))


def _chunks(content: bytes) -> tuple[int, list[bytes]]:
    """The ticks of a quarter, and the content of each track."""
    if len(content) > MOST_BYTES:
        said = f"expected a MIDI file of at most {MOST_BYTES // bounds.MiB} MiB, received {len(content):,} bytes"
        raise Flaw("piece_too_large", said)
    if content[:4] != HEADER:
        raise Flaw("unsupported_format", "expected a MIDI file, which begins with MThd")
    if len(content) < CHUNK_BYTES + HEADER_BYTES:
        raise Flaw("midi_truncated", "the file ends within its header: it is cut off")
    length, kind, count, division = (
        int.from_bytes(content[first:end], "big") for first, end in ((4, 8), (8, 10), (10, 12), (12, 14))
    )
    _check_header(length, kind, count, division)
    return division, list(_tracks(content, CHUNK_BYTES + length, count))


def _check_header(length: int, kind: int, count: int, division: int) -> None:
    if length < HEADER_BYTES:
        raise Flaw("midi_corrupt", f"expected a header of {HEADER_BYTES} bytes, received one of {length}")
    if kind == 2:
        said = "expected a MIDI file of type 0 or 1, received one of type 2: save its patterns as files of their own"
        raise Flaw("midi_type", said)
    if kind > 2:
        raise Flaw("midi_type", f"expected a MIDI file of type 0 or 1, received one of type {kind}")
    if division == 0:
        raise Flaw("midi_division", "expected so many ticks a quarter, or a frame of film, received none")
    if not 1 <= count <= MOST_TRACKS:
        raise Flaw("piece_too_large", f"expected 1 to {MOST_TRACKS:,} tracks, received {count:,}")


def _division(raw: int) -> tuple[int, int]:
    """A quarter is `division` ticks of the file times `scale`.

    Parts of a frame of film (SMPTE) count time in seconds, which knows no quarters: at 120 one is half a second.
    """
    if raw < FILM:
        return raw, 1
    frames, parts = 256 - (raw >> 8), raw & 0xFF
    if frames not in FRAMES_A_SECOND or not parts:
        raise Flaw("midi_division", f"expected 24, 25, 29 or 30 frames a second, received {frames} of {parts} ticks")
    count, seconds = FRAMES_A_SECOND[frames]
    return count * parts, 2 * seconds


def _tracks(content: bytes, at: int, count: int) -> Iterator[bytes]:
    """The tracks that the header announces; chunks of other sorts are passed over, as the standard asks."""
    found = 0
    while found < count:
        if at + CHUNK_BYTES > len(content):
            said = f"the header announces {count} tracks, the file ends after {found}: it is cut off, or damaged"
            raise Flaw("midi_truncated", said)
        length = int.from_bytes(content[at + 4 : at + 8], "big")
        start, end = at + CHUNK_BYTES, at + CHUNK_BYTES + length
        if end > len(content):
            said = f"a chunk of {length:,} bytes begins where {len(content) - start:,} are left: the file is cut off"
            raise Flaw("midi_truncated", said)
        if content[at : at + 4] == TRACK:
            found += 1
            yield content[start:end]
        at = end


def _with_pickup(meters: tuple[Meter, ...]) -> tuple[tuple[Meter, ...], int]:
    """A first bar with a shorter meter of its own is how notation programs write a pickup."""
    if len(meters) < 2 or meters[0].tick or not meters[0].bar_ticks == meters[1].tick < meters[1].bar_ticks:
        return meters, 0
    return (meters[1]._replace(tick=0), *meters[2:]), meters[1].tick


@dataclass
class _Song:
    """What all tracks have said so far, in ticks of the file."""

    division: int
    scale: int = 1
    has_tempo: bool = True
    begun: int = 0
    notes: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    voices: list[Voice] = field(default_factory=list)
    tempi: dict[int, float] = field(default_factory=dict)
    meters: dict[int, tuple[int, int]] = field(default_factory=dict)
    keys: dict[int, Key] = field(default_factory=dict)

    def add_voice(self, voice: Voice) -> int:
        if len(self.voices) >= bounds.MOST_VOICES:
            raise Flaw("piece_too_large", f"expected at most {bounds.MOST_VOICES:,} voices, received more")
        self.voices.append(voice)
        return len(self.voices) - 1

    def piece(self, name: str) -> Piece:
        raw = np.array(self.notes, np.int64).reshape(-1, 5)
        onsets, ends = (self._ticks(raw[:, place]) for place in (0, 1))
        notes = np.empty(len(raw), NOTE)
        # So short a note is a tick: none has no length.
        notes["onset"], notes["duration"] = onsets, np.maximum(ends - onsets, 1)
        for place, column in enumerate(("pitch", "velocity", "voice"), start=2):
            notes[column] = raw[:, place]
        meters, pickup = _with_pickup(self._meters())
        return Piece(
            name, notes, tuple(self.voices), self._tempi(), meters,
            tuple(key._replace(tick=self._tick(tick)) for tick, key in sorted(self.keys.items())), pickup,
        ).sorted()  # fmt: skip

    def _ticks(self, ticks: np.ndarray) -> np.ndarray:
        """Of our own, rounded only where the file's do not divide them."""
        return (2 * ticks * self.scale * TICKS + self.division) // (2 * self.division)

    def _tick(self, tick: int) -> int:
        return (2 * tick * self.scale * TICKS + self.division) // (2 * self.division)

    def _tempi(self) -> tuple[Tempo, ...]:
        if not self.has_tempo:
            return (Tempo(0, FILM_BPM),)
        tempi = [Tempo(self._tick(tick), bpm) for tick, bpm in sorted(self.tempi.items())]
        return tuple(each for place, each in enumerate(tempi) if not place or tempi[place - 1].bpm != each.bpm)

    def _meters(self) -> tuple[Meter, ...]:
        meters = [Meter(self._tick(tick), *meter) for tick, meter in sorted(self.meters.items())]
        return tuple(each for place, each in enumerate(meters) if not place or meters[place - 1][1:] != each[1:])


class _Track:
    """One track while it is read: which notes sound on which channel."""

    def __init__(self, number: int, song: _Song) -> None:
        self._number, self._song, self._name = number, song, ""
        self._voices: dict[int, Voice] = {}
        self._programs: dict[int, int] = defaultdict(int)
        self._open: dict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(deque)
        self._notes: list[tuple[int, int, int, int, int]] = []  # with a channel where the song's have a voice

    def take(self, event: Event) -> None:
        kind, channel = event.status & 0xF0, event.status & 0x0F
        if event.status == META:
            self._take_meta(event)
        elif kind == NOTE_ON and event.second > 0:
            self._begin(channel, event)
        elif kind in (NOTE_ON, NOTE_OFF):
            self._end(channel, event.first, event.tick)
        elif kind == PROGRAM:
            self._programs[channel] = event.first

    def _begin(self, channel: int, event: Event) -> None:
        self._song.begun += 1
        if self._song.begun > bounds.MOST_NOTES:
            raise Flaw("piece_too_large", f"expected at most {bounds.MOST_NOTES:,} notes, received more")
        if channel not in self._voices:
            self._voices[channel] = Voice("", self._programs[channel], channel == DRUMS)
        self._open[channel, event.first].append((event.tick, event.second))

    def _end(self, channel: int, pitch: int, tick: int) -> None:
        """Of two notes of one pitch that sound at once, the first to begin ends first."""
        sounding = self._open.get((channel, pitch))
        if sounding:
            onset, velocity = sounding.popleft()
            self._notes.append((onset, max(tick, onset + 1), pitch, velocity, channel))

    def _take_meta(self, event: Event) -> None:
        song, text = self._song, event.text
        if event.first == END_OF_TRACK:
            self._finish(event.tick)
        elif event.first == NAME and not self._name:
            self._name = _text(text)
        elif event.first == TEMPO:
            song.tempi[event.tick] = _bpm(text)
        elif event.first == METER and len(text) >= 2:
            song.meters[event.tick] = bounds.meter(text[0], 2 ** min(text[1], 30))
        elif event.first == KEY and len(text) >= 2:
            _take_key(song.keys, event.tick, text)

    def _finish(self, tick: int) -> None:
        """End what still sounds, and hand the song a voice for every channel, in their order."""
        for (channel, pitch), sounding in self._open.items():
            for _ in range(len(sounding)):
                self._end(channel, pitch, tick)
        name, is_shared = self._name or f"Track {self._number}", len(self._voices) > 1
        places = {
            channel: self._song.add_voice(
                voice._replace(name=bounds.name(f"{name} (channel {channel + 1})" if is_shared else name))
            )
            for channel, voice in sorted(self._voices.items())
        }
        self._song.notes += [(*note[:4], places[note[4]]) for note in self._notes]


def _bpm(text: bytes) -> float:
    microseconds = int.from_bytes(text, "big")
    if len(text) != 3 or microseconds == 0:
        said = "expected a tempo in microseconds a quarter, received 0: nothing can be played at that"
        raise Flaw("tempo_invalid", said)
    return bounds.tempo(MINUTE_US / microseconds)


def _take_key(keys: dict[int, Key], tick: int, text: bytes) -> None:
    """Many programs write nonsense there, which harms nothing else."""
    sharps = int.from_bytes(text[:1], "big", signed=True)
    if -7 <= sharps <= 7 and text[1] in (0, 1):
        keys[tick] = Key(tick, sharps, "minor" if text[1] else "major")


def _text(text: bytes) -> str:
    """Names stand in UTF-8, or in what the machine of the day had, which Latin 1 shows somehow."""
    try:
        return bounds.name(text.decode())
    except UnicodeDecodeError:
        return bounds.name(text.decode("latin-1"))
