"""A piece as a Standard MIDI File of type 1: a track that tells tempi, meters and keys, then one track a voice."""

import struct

import numpy as np

from worker.symbolic.piece import TICKS, Meter, Piece, Voice

# What programs expect first, then whole parts of TICKS; the last keeps every onset.
RESOLUTIONS = (480, 1680, 3360, 5040, TICKS)
MICROSECONDS_A_MINUTE = 60_000_000
LONGEST_TEMPO = 0xFFFFFF
# Four times seven bits say how long after the event before.
LONGEST = 1 << 28
DRUMS = 9
MELODIC = tuple(channel for channel in range(16) if channel != DRUMS)
CLOCKS_A_QUARTER, THIRTY_SECONDS = 24, 8
FINEST_UNIT = 64

TEXT_NAME, END, TEMPO, METER, KEY = 0x03, 0x2F, 0x51, 0x58, 0x59
NOTE_ON, NOTE_OFF, PROGRAM = 0x90, 0x80, 0xC0

# What happens at one tick: in order of this number, ends before beginnings.
AT_FIRST, ENDS, BEGINS = 0, 1, 2
Event = tuple[int, int, bytes]  # tick, order, message


def write(piece: Piece) -> bytes:
    """The same bytes for the same piece; every note begins and ends on its tick."""
    step = _ticks_of_a_step(piece)
    own = channels(piece.voices)
    shared = _shared(piece.voices, own)
    tracks = [_track(_conductor(piece), step)]
    for place, channel in enumerate(own):
        tracks.append(_track(_voice(piece, place, channel=channel, tells_program=channel in shared, step=step), step))
    header = struct.pack(">4sIHHH", b"MThd", 6, 1, len(tracks), TICKS // step)
    return header + b"".join(tracks)


def _ticks_of_a_step(piece: Piece) -> int:
    """How many of our ticks are one of the file's: the coarsest usual resolution on which everything falls.

    Of hours of music the finest ones could not count the length: then the usual one, to which times are rounded down.
    """
    changes = [change.tick for changes in (piece.tempi, piece.meters, piece.keys) for change in changes]
    times = np.concatenate([piece.notes["onset"], piece.notes["duration"], [piece.pickup], changes]).astype(np.int64)
    for step in (TICKS // resolution for resolution in RESOLUTIONS):
        if not (times % step).any() and max(int(times.max()), piece.length) // step < LONGEST:
            return step
    return TICKS // RESOLUTIONS[0]


def channels(voices: tuple[Voice, ...]) -> list[int]:
    """A channel of its own for each melodic voice; where they are too many, one for each program, in turn."""
    melodic = [place for place, voice in enumerate(voices) if not voice.is_drum]
    if len(melodic) <= len(MELODIC):
        own = {place: MELODIC[turn] for turn, place in enumerate(melodic)}
    else:
        programs = list(dict.fromkeys(voices[place].program for place in melodic))
        own = {place: MELODIC[programs.index(voices[place].program) % len(MELODIC)] for place in melodic}
    return [own.get(place, DRUMS) for place in range(len(voices))]


def _shared(voices: tuple[Voice, ...], own: list[int]) -> set[int]:
    """The channels that have more than one program."""
    programs: dict[int, set[int]] = {}
    for voice, channel in zip(voices, own, strict=True):
        programs.setdefault(channel, set()).add(voice.program)
    return {channel for channel, several in programs.items() if len(several) > 1}


def _conductor(piece: Piece) -> list[Event]:
    events: list[Event] = [(0, AT_FIRST, _meta(TEXT_NAME, piece.name.encode()))]
    for tempo in piece.tempi:
        length = min(max(round(MICROSECONDS_A_MINUTE / tempo.bpm), 1), LONGEST_TEMPO)
        events.append((tempo.tick, AT_FIRST, _meta(TEMPO, length.to_bytes(3, "big"))))
    for meter in _meters(piece):
        # A click of a metronome is a beat: of three parts where the meter is compound.
        is_compound = meter.beats % 3 == 0 and meter.beats > 3 and meter.unit >= 8
        clocks = CLOCKS_A_QUARTER * 4 // meter.unit * (3 if is_compound else 1)
        told = bytes([min(meter.beats, 255), meter.unit.bit_length() - 1, max(clocks, 1), THIRTY_SECONDS])
        events.append((meter.tick, AT_FIRST, _meta(METER, told)))
    for key in piece.keys:
        told = struct.pack(">bB", min(max(key.sharps, -7), 7), int(key.mode == "minor"))
        events.append((key.tick, AT_FIRST, _meta(KEY, told)))
    return [*events, (piece.length, BEGINS, _meta(END, b""))]


def _meters(piece: Piece) -> list[Meter]:
    """MIDI knows no pickup: a short first bar has a meter of its own, if one says its length."""
    meters = list(piece.meters) or [Meter(0, 4, 4)]
    unit = next((unit for unit in (4, 8, 16, 32, FINEST_UNIT) if piece.pickup * unit % (4 * TICKS) == 0), None)
    if not piece.pickup or unit is None:
        return meters
    begun = [meter for meter in meters if meter.tick <= piece.pickup]
    first = Meter(0, piece.pickup * unit // (4 * TICKS), unit)
    return [first, (begun or meters)[-1 if begun else 0]._replace(tick=piece.pickup), *meters[len(begun) :]]


def _voice(piece: Piece, place: int, *, channel: int, tells_program: bool, step: int) -> list[Event]:
    """Its events; `tells_program` before each note, where another voice of the channel may have changed it."""
    voice = piece.voices[place]
    program = bytes([PROGRAM | channel, voice.program])
    events: list[Event] = [(0, AT_FIRST, _meta(TEXT_NAME, voice.name.encode())), (0, AT_FIRST, program)]
    length = 0
    for onset, duration, pitch, velocity, _ in piece.notes[piece.notes["voice"] == place].tolist():
        # Where times are rounded, a note must still not end before it has begun.
        end = onset + max(duration, step)
        begin = bytes([NOTE_ON | channel, pitch, min(max(velocity, 1), 127)])
        events.append((onset, BEGINS, program + b"\0" + begin if tells_program else begin))
        events.append((end, ENDS, bytes([NOTE_OFF | channel, pitch, 0])))
        length = max(length, end)
    return [*events, (length, BEGINS, _meta(END, b""))]


def _track(events: list[Event], ticks: int) -> bytes:
    body, before = bytearray(), 0
    # By time and order alone: what is told at once stays in the order of the piece.
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        body += _length(tick // ticks - before) + message
        before = tick // ticks
    return struct.pack(">4sI", b"MTrk", len(body)) + bytes(body)


def _meta(kind: int, content: bytes) -> bytes:
    return bytes([0xFF, kind]) + _length(len(content)) + content


def _length(number: int) -> bytes:
    """Seven bits a byte, the highest first, the last one without the eighth bit."""
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))
