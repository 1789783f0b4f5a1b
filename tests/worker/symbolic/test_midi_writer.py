"""Pieces written as MIDI are read back note for note by a program that is not ours."""

from collections import Counter
from dataclasses import replace

import pytest
import symusic

from tests.worker.symbolic import made
from worker.symbolic import midi_writer
from worker.symbolic.piece import TICKS, Key, Piece, Voice


def read(content: bytes) -> symusic.Score:
    return symusic.Score.from_midi(content)


def told(piece: Piece, voice: int, resolution: int) -> list[tuple[int, int, int, int]]:
    notes = piece.notes[piece.notes["voice"] == voice]
    scale = TICKS // resolution
    return sorted((o // scale, d // scale, p, v) for o, d, p, v, _ in notes.tolist())


@pytest.mark.parametrize(
    ("parts", "resolution"),
    [((1, 0.5, 0.25, 0.125), 480), ((1, 0.5, 1 / 3, 1 / 6), 480), ((1, 1 / 7), 1680), ((1, 1 / 9), 5040)],
)
def test_every_note_is_kept_on_its_tick(parts: tuple[float, ...], resolution: int) -> None:
    piece = made.song(parts=parts)

    score = read(midi_writer.write(piece))

    assert score.ticks_per_quarter == resolution
    for voice, track in enumerate(score.tracks):
        found = sorted((note.time, note.duration, note.pitch, note.velocity) for note in track.notes)
        assert found == told(piece, voice, resolution)


def test_times_that_no_usual_resolution_holds_have_the_finest_one() -> None:
    piece = made.piece([(1 / TICKS, 1, 60, 0)])

    score = read(midi_writer.write(piece))

    assert (score.ticks_per_quarter, score.tracks[0].notes[0].time) == (TICKS, 1)


def test_a_rest_of_many_hours_can_still_be_counted() -> None:
    piece = made.piece([(1 / TICKS, 1, 60, 0), (90_000, 1, 62, 0)])

    score = read(midi_writer.write(piece))

    assert [(note.time // score.ticks_per_quarter, note.pitch) for note in score.tracks[0].notes] == [
        (0, 60),
        (90_000, 62),
    ]


def test_the_file_is_of_type_1_with_a_track_for_the_tempo_and_one_for_each_voice() -> None:
    content = midi_writer.write(made.song())

    assert content[:12] == b"MThd\0\0\0\6\0\1\0\5"


def test_names_and_programs_are_told() -> None:
    score = read(midi_writer.write(made.changing()))

    assert [(track.name, track.program, track.is_drum) for track in score.tracks] == [
        ("Flöte", 73, False),
        ("Drums", 0, True),
    ]


def test_tempi_and_keys_are_told_where_they_begin() -> None:
    score = read(midi_writer.write(made.changing()))

    assert [(tempo.time, round(tempo.qpm, 2)) for tempo in score.tempos] == [(0, 96.0), (9 * 480, 60.5)]
    assert [(key.time, key.key, key.tonality) for key in score.key_signatures] == [(0, 2, 0), (7 * 480, -3, 1)]


def test_a_pickup_is_a_bar_with_a_meter_of_its_own() -> None:
    score = read(midi_writer.write(made.changing()))

    assert [(meter.time, meter.numerator, meter.denominator) for meter in score.time_signatures] == [
        (0, 1, 4),
        (480, 3, 4),
        (7 * 480, 6, 8),
        (13 * 480, 4, 4),
    ]


def test_a_piece_without_a_meter_is_in_4_4() -> None:
    (meter,) = read(midi_writer.write(made.melody([60]))).time_signatures

    assert (meter.time, meter.numerator, meter.denominator) == (0, 4, 4)


@pytest.mark.parametrize("sharps", [-9, 9])
def test_a_key_beyond_seven_signs_is_the_last_that_midi_knows(sharps: int) -> None:
    piece = replace(made.melody([60]), keys=(Key(0, sharps, "major"),))

    (key,) = read(midi_writer.write(piece)).key_signatures

    assert abs(key.key) == 7


def test_fifteen_melodic_voices_have_channels_of_their_own_and_drums_the_tenth() -> None:
    voices = (*(Voice(str(each), each) for each in range(15)), Voice("Drums", is_drum=True))

    channels = midi_writer.channels(voices)

    assert sorted(channels[:15]) == [*range(9), *range(10, 16)]
    assert channels[15] == 9


def test_more_voices_share_a_channel_by_their_program() -> None:
    voices = tuple(Voice(str(each), each % 3) for each in range(40))

    channels = midi_writer.channels(voices)

    assert channels == [each % 3 for each in range(40)]


def test_notes_of_forty_programs_all_sound_as_told() -> None:
    voices = [Voice(f"Part {each}", each) for each in range(40)]
    piece = made.piece([(at, 1, 40 + at, at) for at in range(40)], voices)

    score = read(midi_writer.write(piece))

    sounding = Counter((note.pitch, track.program) for track in score.tracks for note in track.notes)
    assert sounding == Counter((40 + each, each) for each in range(40))


def test_a_note_struck_again_where_it_ends_stays_two_notes() -> None:
    piece = made.melody([60, 60, 60], 0.5)

    (track,) = read(midi_writer.write(piece)).tracks

    assert [(note.time, note.duration) for note in track.notes] == [(0, 240), (240, 240), (480, 240)]


def test_the_same_piece_has_the_same_bytes() -> None:
    assert midi_writer.write(made.changing()) == midi_writer.write(made.changing())


def test_a_piece_without_notes_is_a_file_that_can_be_read() -> None:
    piece = made.piece([])

    assert read(midi_writer.write(piece)).note_num() == 0
