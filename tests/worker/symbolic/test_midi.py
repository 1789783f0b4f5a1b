"""MIDI as pieces: what is kept, what is refused and with which sentence, and that no bytes do anything else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import Score

from tests.worker.symbolic import midi_files
from tests.worker.symbolic.midi_files import chunk, file, header, melody, meta, note, number, tempo
from worker.symbolic import bounds, midi, midi_writer
from worker.symbolic.flaws import Flaw
from worker.symbolic.piece import TICKS, Key, Meter, Piece, Tempo, Voice

GOOD = file(
    meta(0x03, b"Song") + tempo(500_000) + meta(0x58, b"\x03\x02\x18\x08") + meta(0x59, b"\xfe\x01"),
    meta(0x03, b"Flute") + b"\x00\xc0\x49" + melody([60, 62, 64]),
    meta(0x03, b"Kit") + melody([36, 38], channel=9),
)


def told(piece: Piece) -> list[tuple[int, ...]]:
    """Onset, duration, pitch and voice of each note."""
    return [tuple(map(int, (each["onset"], each["duration"], each["pitch"], each["voice"]))) for each in piece.notes]


def refused(content: bytes) -> Flaw:
    with pytest.raises(Flaw) as caught:
        midi.read(content, "m")
    return caught.value


def test_tracks_become_voices_and_what_holds_for_all_is_kept() -> None:
    piece = midi.read(GOOD, "song.mid")

    assert piece.name == "song.mid"
    assert piece.voices == (Voice("Flute", 0x49), Voice("Kit", 0, is_drum=True))
    assert piece.tempi == (Tempo(0, 120.0),)
    assert piece.meters == (Meter(0, 3, 4),)
    assert piece.keys == (Key(0, -2, "minor"),)
    assert told(piece) == [
        (0, TICKS, 60, 0), (0, TICKS, 36, 1), (TICKS, TICKS, 62, 0), (TICKS, TICKS, 38, 1), (2 * TICKS, TICKS, 64, 0)
    ]  # fmt: skip


def test_a_file_of_one_track_is_split_by_channel() -> None:
    track = meta(0x03, b"Choir") + b"".join(note(60 + channel, 96, channel=channel) for channel in (3, 0, 1))

    piece = midi.read(file(track, kind=0), "m")

    assert [voice.name for voice in piece.voices] == [f"Choir (channel {number})" for number in (1, 2, 4)]
    assert [int(each["voice"]) for each in piece.notes] == [2, 0, 1]


@pytest.mark.parametrize("division", [1, 24, 96, 120, 384, 480, 960, 1024, 10_080, 32_767])
def test_every_resolution_becomes_ours_to_half_a_tick(division: int) -> None:
    piece = midi.read(file(melody([60] * 16, length=max(1, division // 3)), division=division), "m")

    onsets = np.arange(16) * max(1, division // 3) * TICKS / division
    assert np.abs(piece.notes["onset"] - onsets).max() <= 0.5
    assert len(piece.notes) == 16


def test_a_note_that_is_never_ended_ends_with_its_track() -> None:
    piece = midi.read(file(b"\x00\x90\x3c\x40" + note(62, 96)), "m")

    assert told(piece) == [(0, TICKS, 60, 0), (0, TICKS, 62, 0)]


def test_of_two_notes_of_one_pitch_the_first_ends_first() -> None:
    on, off = b"\x90\x3c\x40", b"\x80\x3c\x00"

    piece = midi.read(file(b"\x00" + on + b"\x30" + on + b"\x30" + off + b"\x30" + off), "m")

    assert told(piece) == [(0, TICKS, 60, 0), (TICKS // 2, TICKS, 60, 0)]


def test_a_status_may_be_left_out_and_a_velocity_of_zero_ends_a_note() -> None:
    piece = midi.read(file(b"\x00\x90\x3c\x40\x60\x3c\x00\x00\x3e\x40\x60\x3e\x00"), "m")

    assert told(piece) == [(0, TICKS, 60, 0), (TICKS, TICKS, 62, 0)]


def test_a_file_without_notes_is_a_piece_without_notes() -> None:
    piece = midi.read(file(meta(0x03, b"Silence")), "m")

    assert (len(piece.notes), piece.voices) == (0, ())


def test_chunks_of_other_sorts_and_what_follows_the_tracks_are_passed_over() -> None:
    content = header() + chunk(b"XFIH", b"abc") + chunk(b"MTrk", melody([60]) + midi_files.END) + b"padding"

    assert len(midi.read(content, "m").notes) == 1


def test_names_in_any_alphabet_are_shown() -> None:
    utf_8, latin = (
        midi.read(file(meta(0x03, "Flöte".encode(code)) + melody([60])), "m") for code in ("utf-8", "cp1252")
    )

    assert utf_8.voices[0].name == latin.voices[0].name == "Flöte"


def test_the_notes_are_those_that_symusic_reads() -> None:
    random = np.random.default_rng(1)
    tracks = [melody(random.integers(20, 100, 200).tolist(), length=int(random.integers(1, 200))) for _ in range(4)]
    content = file(*tracks, division=480)

    theirs = sorted(
        (each.start * 21, each.duration * 21, each.pitch)
        for track in Score.from_midi(content).tracks
        for each in track.notes
    )

    assert sorted(each[:3] for each in told(midi.read(content, "m"))) == theirs


@pytest.mark.hostile("H45", "H46", "H47", "H49")
@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b"RIFF" + GOOD, "unsupported_format", "begins with MThd"),
        (GOOD[:10], "midi_truncated", "within its header"),
        (file(melody([60]), kind=2), "midi_type", "type 2"),
        (file(melody([60]), kind=9), "midi_type", "type 9"),
        (file(melody([60]), division=0xE900), "midi_division", "frames a second"),
        (file(melody([60]), division=0xFF28), "midi_division", "received 1"),
        (file(melody([60]), division=0), "midi_division", "received none"),
        (header(tracks=65_535) + chunk(b"MTrk", melody([60])), "piece_too_large", "65,535"),
        (header(tracks=0), "piece_too_large", "received 0"),
        (header(tracks=2) + chunk(b"MTrk", melody([60])), "midi_truncated", "announces 2 tracks"),
        (GOOD[:-6], "midi_truncated", "cut off"),
        (header() + b"MTrk\xff\xff\xff\xff" + melody([60]), "midi_truncated", "4,294,967,295 bytes"),
        (file(number(2**28 - 1) + b"\x90\x3c\x40" + note(62, 9)), "piece_too_long", "268,435,455 ticks"),
        (file(tempo(0) + melody([60])), "tempo_invalid", "received 0"),
        (file(tempo(1) + melody([60])), "tempo_invalid", "quarters a minute"),
        (file(meta(0x51, b"\x01") + melody([60])), "tempo_invalid", "microseconds"),
        (file(tempo(16_777_215) + note(60, 9_599_999), division=120),
         "piece_too_long", "24 hours"),
        (file(meta(0x58, b"\x00\x02\x18\x08") + melody([60])), "meter_invalid", "received another"),
        (file(meta(0x58, b"\x04\xff\x18\x08") + melody([60])), "meter_invalid", "such as 3/4"),
        (file(b"\x00\x3c\x40" + melody([60])), "midi_corrupt", "data of none"),
        (file(b"\x00\xf0\x01\x7f\x00\x3c\x40"), "midi_corrupt", "data of none"),
        (file(b"\x00\x90\xfc\x40"), "midi_corrupt", "at byte 2, received more"),
        (file(b"\x00\xf8" + melody([60])), "midi_corrupt", "at byte 1, received one that"),
        (file(b"\xff\xff\xff\xff\x7f" + melody([60])), "midi_corrupt", "at most 4 bytes"),
        (header() + chunk(b"MTrk", b"\x00\x90\x3c"), "midi_truncated", "middle of an event"),
        (header() + chunk(b"MTrk", b"\x00\xff\x01\x7fab"), "midi_truncated", "middle of an event"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(content: bytes, code: str, said: str) -> None:
    flaw = refused(content)

    assert flaw.code == code
    assert said in flaw.detail


@pytest.mark.hostile("H48")
def test_too_many_notes_are_refused_while_they_are_read() -> None:
    ons = b"\x00\x3c\x40" * bounds.MOST_NOTES

    assert refused(file(b"\x00\x90\x3c\x40" + ons)).code == "piece_too_large"


def check_outcome(content: bytes) -> None:
    try:
        piece = midi.read(content, "m")
    except Flaw as flaw:
        assert flaw.detail.isprintable()
        return
    assert np.all(piece.notes["duration"] > 0)
    assert np.all(np.diff(piece.notes["onset"]) >= 0)
    assert np.all(piece.notes["voice"] < len(piece.voices)) or not len(piece.notes)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_whatever_bytes_are_changed_it_is_a_piece_or_a_fault(changes: list[tuple[int, int]]) -> None:
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value

    check_outcome(bytes(content))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 0x7FFF))
def test_any_track_at_all_is_a_piece_or_a_fault(track: bytes, division: int) -> None:
    check_outcome(file(track, division=division))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_at_all_are_a_fault_or_a_piece(content: bytes) -> None:
    check_outcome(content)
    check_outcome(b"MThd" + content)


def test_a_first_bar_with_a_shorter_meter_of_its_own_is_a_pickup() -> None:
    quarter, whole = b"\x01\x02\x18\x08", b"\x04\x02\x18\x08"
    song = file(meta(0x58, quarter) + meta(0x58, whole, after=96), melody([60] * 9))
    changed = file(meta(0x58, b"\x03\x02\x18\x08") + meta(0x58, whole, after=6 * 96), melody([60] * 9))

    piece, other = midi.read(song, "a.mid"), midi.read(changed, "b.mid")

    assert (piece.pickup, piece.meters) == (TICKS, (Meter(0, 4, 4),))
    assert (other.pickup, len(other.meters)) == (0, 2)
    assert midi.read(midi_writer.write(piece), "c.mid").pickup == TICKS


@pytest.mark.parametrize(("division", "ticks_a_second"), [(0xE728, 1000), (0xE204, 120), (0xE350, 30_000 * 80 / 1001)])
def test_time_in_frames_of_film_is_read_at_120(division: int, ticks_a_second: float) -> None:
    song = file(tempo(300_000) + melody([60, 62, 64], length=480), division=division)

    piece = midi.read(song, "a.mid")

    assert piece.tempi == (Tempo(0, 120.0),)
    seconds = piece.notes["onset"] / TICKS / 2
    assert np.abs(seconds - np.arange(3) * 480 / ticks_a_second).max() < 1e-4
