"""A melody of our own arrangement as a MIDI file: Beethoven's Ode to Joy, 1824, where a soprano sings it."""

import struct

# A quarter; a bar of 4/4 has four.
DIVISION, BEATS_A_BAR = 480, 4
BPM, VELOCITY = 84, 80
PROGRAM = 52  # choir, as General MIDI counts from 0
MICROSECONDS_A_MINUTE = 60_000_000

# Pitch and quarters, in G major; each line is two bars.
ODE = (
    (71, 1), (71, 1), (72, 1), (74, 1), (74, 1), (72, 1), (71, 1), (69, 1),
    (67, 1), (67, 1), (69, 1), (71, 1), (71, 1.5), (69, 0.5), (69, 2),
    (71, 1), (71, 1), (72, 1), (74, 1), (74, 1), (72, 1), (71, 1), (69, 1),
    (67, 1), (67, 1), (69, 1), (71, 1), (69, 1.5), (67, 0.5), (67, 2),
)  # fmt: skip


def midi() -> bytes:
    """The melody as a standard MIDI file of one track."""
    tempo = (MICROSECONDS_A_MINUTE // BPM).to_bytes(3)
    # 4/4; one sharp, major.
    head = b"\x00\xff\x51\x03" + tempo + b"\x00\xff\x58\x04\x04\x02\x18\x08" + b"\x00\xff\x59\x02\x01\x00"
    head += bytes((0, 0xC0, PROGRAM))
    notes = b"".join(_note(pitch, round(quarters * DIVISION)) for pitch, quarters in ODE)
    track = head + notes + b"\x00\xff\x2f\x00"
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, DIVISION)
    return header + struct.pack(">4sI", b"MTrk", len(track)) + track


def _note(pitch: int, ticks: int) -> bytes:
    return bytes((0, 0x90, pitch, VELOCITY)) + _length(ticks) + bytes((0x80, pitch, 0))


def _length(ticks: int) -> bytes:
    """A variable-length quantity of MIDI, here of at most two bytes."""
    return bytes((0x80 | ticks >> 7, ticks & 0x7F)) if ticks > 0x7F else bytes((ticks,))
