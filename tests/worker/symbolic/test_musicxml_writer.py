"""MusicXML as music21 reads it: the same notes, whole bars, and elements in the order that the format asks for."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import pytest

from tests.worker.symbolic import made
from worker.symbolic import musicxml_writer
from worker.symbolic.piece import TICKS, Key, Meter, Piece, Tempo, Voice

Parse = Callable[[bytes], Any]  # Any: music21's score
Notes = list[tuple[Fraction, Fraction, int, int]]

# The order of MusicXML 4.0, as far as we write it.
TAIL = ["time-modification", "notations"]
ORDER = {
    "attributes": ["divisions", "key", "time", "clef"],
    "note": ["chord", "pitch", "unpitched", "rest", "duration", "tie", "instrument", "voice", "type", "dot", *TAIL],
    "direction": ["direction-type", "offset", "sound"],
    "notations": ["tied", "tuplet"],
    "score-part": ["part-name", "score-instrument", "midi-instrument"],
    "midi-instrument": ["midi-channel", "midi-program", "midi-unpitched"],
    "score-partwise": ["work", "identification", "part-list", "part"],
    "pitch": ["step", "alter", "octave"],
    "time-modification": ["actual-notes", "normal-notes"],
}


@pytest.fixture(scope="module")
def parse() -> Parse:
    from music21 import converter  # seconds to import

    return lambda content: converter.parseData(content.decode(), format="musicxml")


def heard(score: Any) -> Notes:  # Any: music21's score
    """Onset, duration, pitch and part of all notes; ties are merged here, for music21 mixes up those of two voices."""
    notes: Notes = []
    for place, part in enumerate(score.parts):
        held: dict[tuple[str, int], tuple[Fraction, Fraction]] = {}
        for onset, line, note in written(part):
            for each in note.notes if note.isChord else [note]:
                kind = each.tie.type if each.tie else None
                begun, length = held.pop((line, each.pitch.midi)) if kind in ("continue", "stop") else (onset, 0)
                assert begun + length == onset
                length += Fraction(note.quarterLength)
                if kind in ("start", "continue"):
                    held[line, each.pitch.midi] = begun, length
                else:
                    notes.append((begun, length, each.pitch.midi, place))
        assert not held
    return sorted(notes)


def written(part: Any) -> Iterator[tuple[Fraction, str, Any]]:  # Any: music21's part and notes
    """Where each note of a part is, in which voice, and the note."""
    for measure in part.getElementsByClass("Measure"):
        for line in measure.voices or [measure]:
            name = str(line.id) if measure.voices else "1"
            for note in line.notes:
                yield Fraction(measure.offset) + Fraction(note.offset), name, note


def told(piece: Piece) -> Notes:
    return sorted((Fraction(o, TICKS), Fraction(d, TICKS), p, v) for o, d, p, _, v in piece.notes.tolist())


def root_of(piece: Piece) -> Element:
    return ElementTree.fromstring(musicxml_writer.write(piece, title="Made"))


def notes_of(root: Element) -> Iterator[Element]:
    return root.iter("note")


def values_of(piece: Piece) -> list[tuple[str, int, bool, bool]]:
    """Of each note or rest: its name, dots, whether it rests, and whether it belongs to a triplet."""
    return [
        (
            note.findtext("type", "none"),
            len(note.findall("dot")),
            note.find("rest") is not None,
            note.find("time-modification") is not None,
        )
        for note in notes_of(root_of(piece))
    ]


DOTTED = [(0, 1.5, 60, 0), (1.5, 0.5, 62, 0), (2, 0.75, 64, 0), (2.75, 0.25, 65, 0), (3, 3, 67, 0), (6, 7, 60, 0)]
PIECES = {
    "sixteenths": made.song(1),
    "triplets": made.song(2, parts=(1, 0.5, 1 / 3, 1 / 6)),
    "all of them": made.song(3, parts=(1, 0.5, 1 / 3, 1 / 4, 1 / 6, 1 / 8)),
    "dots, and notes over bars": made.piece(DOTTED),
    "long triplets": made.melody([60, 62, 64, 65, 67, 69], 2 / 3),
    "syncopes": made.piece([(0, 0.5, 60, 0), (0.5, 1, 62, 0), (1.5, 1, 64, 0), (2.75, 2.5, 60, 0)]),
    "a pickup": made.song(4, pickup=TICKS),
    "a pickup of a triplet": made.piece([(0, 1 / 3, 60, 0), (1 / 3, 2, 62, 0)], pickup=TICKS // 3),
    "6/8": made.song(5, meters=(Meter(0, 6, 8),)),
    "5/8": made.song(6, meters=(Meter(0, 5, 8),), parts=(1, 0.5)),
    "7/16, from the second half on": made.song(7, meters=(Meter(0, 4, 4), Meter(16 * TICKS, 7, 16)), parts=(1, 0.5)),
    "one pickup alone": made.piece([(0, 1, 60, 0)], pickup=TICKS),
    "chords": made.piece([(at, 1, pitch + at, 0) for at in range(6) for pitch in (60, 64, 67)]),
    "a held bass": made.piece([(0, 4, 48, 0), *((at * 0.5, 0.5, 60 + at, 0) for at in range(8)), (5, 1, 50, 0)]),
    "four lines": made.piece([(at, 8 - 2 * at, 50 + 5 * at, 0) for at in range(4)]),
    "extremes": made.piece([(0, 1, 12, 3), (1, 1, 127, 0)]),
    "two keys": made.song(8, keys=(Key(0, 6, "minor"), Key(8 * TICKS, -6, "major"))),
}


@pytest.mark.parametrize("name", PIECES)
def test_the_notes_are_read_back(name: str, parse: Parse) -> None:
    content = musicxml_writer.write(PIECES[name], title="Made")

    assert heard(parse(content)) == told(PIECES[name])


@pytest.mark.parametrize("name", PIECES)
def test_every_line_fills_every_bar(name: str) -> None:
    root = root_of(PIECES[name])

    for part in root.iter("part"):
        for measure, length in zip(part.iter("measure"), lengths(root), strict=True):
            filled = [0]
            for element in measure:
                if element.tag == "backup":
                    assert element.findtext("duration") == str(filled[-1])
                    filled.append(0)
                elif element.tag == "note" and element.find("chord") is None:
                    filled[-1] += int(element.findtext("duration", ""))
            assert set(filled) == {length}


def lengths(root: Element) -> list[int]:
    """Divisions of each bar: the pickup is as long as its notes are, the others as their meter says."""
    found, division, meter = [], 0, Fraction(4)
    for measure in root.find("part").iter("measure"):  # type: ignore[union-attr]
        division = int(measure.findtext("attributes/divisions", str(division)))
        if measure.find("attributes/time") is not None:
            time = [int(measure.findtext(f"attributes/time/{name}", "")) for name in ("beats", "beat-type")]
            meter = Fraction(4 * time[0], time[1])
        if measure.get("implicit") == "yes":
            notes = [note for note in measure.iter("note") if note.findtext("voice") == "1"]
            found.append(sum(int(note.findtext("duration", "")) for note in notes if note.find("chord") is None))
        else:
            found.append(int(meter * division))
    return found


NAMED = {"breve": 8, "whole": 4, "half": 2, "quarter": 1, "eighth": 0.5, "16th": 0.25, "32nd": 0.125, "64th": 0.0625}


@pytest.mark.parametrize("name", PIECES)
def test_the_value_of_each_note_is_as_long_as_the_note(name: str) -> None:
    root = root_of(PIECES[name])
    division = int(root.findtext("part/measure/attributes/divisions", ""))

    for note in notes_of(root):
        if (named := note.findtext("type")) is None:
            assert note.find("rest").get("measure") == "yes"  # type: ignore[union-attr]
            continue
        length = Fraction(NAMED[named]) * (2 - Fraction(1, 2 ** len(note.findall("dot"))))
        if note.find("time-modification") is not None:
            length *= Fraction(2, 3)
        assert int(note.findtext("duration", "")) == length * division


@pytest.mark.parametrize("name", [*PIECES, "drums"])
def test_elements_stand_in_the_order_of_the_format(name: str) -> None:
    root = root_of(PIECES.get(name, made.changing()))

    for element in root.iter():
        if (order := ORDER.get(element.tag)) is not None:
            places = [order.index(child.tag) for child in element]
            assert places == sorted(places), element.tag


@pytest.mark.parametrize("name", PIECES)
def test_triplets_open_and_close_in_turn(name: str) -> None:
    for part in root_of(PIECES[name]).iter("part"):
        for voice in ("1", "2", "3", "4"):
            edges = [
                edge.get("type")
                for note in part.iter("note")
                if note.findtext("voice") == voice
                for edge in note.iter("tuplet")
            ]

            assert edges == ["start", "stop"] * (len(edges) // 2)


def test_what_cannot_be_written_goes_to_the_nearer_grid(parse: Parse) -> None:
    piece = made.piece([(0.02, 0.48, 60, 0), (0.51, 0.25, 62, 0), (1.34, 0.33, 64, 0), (2.98, 0.01, 65, 0)])

    found = heard(parse(musicxml_writer.write(piece, title="Played")))

    eighth, third = Fraction(1, 8), Fraction(1, 3)
    assert found == [
        (0, Fraction(1, 2), 60, 0),
        (Fraction(1, 2), Fraction(1, 4), 62, 0),
        (1 + third, third, 64, 0),
        (3 - eighth, eighth, 65, 0),
    ]


@pytest.mark.parametrize("seed", range(6))
def test_played_music_becomes_whole_bars_with_all_its_notes(seed: int, parse: Parse) -> None:
    random = np.random.default_rng(seed)
    told = [
        (random.uniform(0, 16), random.uniform(0.02, 3), int(random.integers(30, 90)), int(random.integers(0, 4)))
        for _ in range(60)
    ]

    score = parse(musicxml_writer.write(made.piece(told, pickup=int(random.integers(0, TICKS))), title="Played"))

    found = {(pitch, part) for _, _, pitch, part in heard(score)}
    assert found == {(pitch, part) for _, _, pitch, part in told}


def test_more_than_four_notes_at_once_are_cut_short_and_all_begin(parse: Parse) -> None:
    piece = made.piece([(at * 0.5, 4, 60 + at, 0) for at in range(8)])

    found = heard(parse(musicxml_writer.write(piece, title="Dense")))

    assert [(onset, pitch) for onset, _, pitch, _ in found] == [(Fraction(at, 2), 60 + at) for at in range(8)]
    assert max(length for _, length, _, _ in found) == 4 and min(length for _, length, _, _ in found) == 2


def test_a_note_that_fits_no_value_is_tied_from_several() -> None:
    values = values_of(made.piece([(0, 1.25, 60, 0), (1.25, 0.75, 62, 0)], [Voice("One")]))

    assert values == [
        ("quarter", 0, False, False),
        ("16th", 0, False, False),
        ("eighth", 1, False, False),
        ("half", 0, True, False),
    ]


def test_rests_stand_on_their_beats() -> None:
    values = values_of(made.piece([(0, 0.5, 60, 0), (3.5, 0.5, 62, 0)], [Voice("One")]))

    assert [name for name, _, rests, _ in values if rests] == ["eighth", "quarter", "quarter", "eighth"]


def test_a_triplet_is_three_eighths_in_the_time_of_two() -> None:
    values = values_of(made.melody([60, 62, 64, 65, 67, 69], 1 / 3))

    assert values[:6] == [("eighth", 0, False, True)] * 6


def test_bars_are_numbered_from_the_first_whole_one() -> None:
    numbers = [measure.attrib for measure in root_of(PIECES["a pickup"]).find("part").iter("measure")]  # type: ignore[union-attr]

    assert numbers[:2] == [{"number": "0", "implicit": "yes"}, {"number": "1"}]


def test_keys_meters_and_clefs_are_written_where_they_change(parse: Parse) -> None:
    score = parse(musicxml_writer.write(made.changing(), title="Changing"))

    flute, drums = score.parts
    assert [(key.sharps, key.mode) for key in flute.flatten().getElementsByClass("Key")] == [
        (2, "major"),
        (-3, "minor"),
    ]
    assert [time.ratioString for time in flute.flatten().getElementsByClass("TimeSignature")] == ["3/4", "6/8", "4/4"]
    assert type(drums.flatten().getElementsByClass("Clef")[0]).__name__ == "PercussionClef"


def test_tempi_are_written_once_and_where_they_begin(parse: Parse) -> None:
    piece = made.song(tempi=(Tempo(0, 96), Tempo(2 * TICKS, 96), Tempo(9 * TICKS, 60.5)))

    marks = parse(musicxml_writer.write(piece, title="Changing")).flatten().getElementsByClass("MetronomeMark")

    assert [(mark.offset, mark.number) for mark in marks] == [(0, 96), (9, 60.5)]


def test_drums_are_unpitched_instruments_each() -> None:
    root = root_of(made.changing())

    instruments = [
        midi.attrib["id"] for midi in root.iter("midi-instrument") if midi.find("midi-unpitched") is not None
    ]
    assert instruments == ["P2-I36", "P2-I38", "P2-I40"]
    assert {note.find("instrument").attrib["id"] for note in root.iter("note") if note.find("unpitched")} == {
        *instruments
    }  # type: ignore[union-attr]


@pytest.mark.parametrize(("pitches", "sign"), [([64, 67], "G"), ([48, 55], "F"), ([59, 61, 59], "F"), ([60], "G")])
def test_the_clef_is_the_one_with_fewer_ledger_lines(pitches: list[int], sign: str) -> None:
    root = root_of(made.melody(pitches))

    assert root.findtext("part/measure/attributes/clef/sign") == sign


def test_names_are_written_whatever_they_hold() -> None:
    piece = made.piece([(0, 1, 60, 0)], [Voice("A <b> & \x00 𝄞")])

    root = ElementTree.fromstring(musicxml_writer.write(piece, title="\x1f„Lied“ < 5"))

    assert root.findtext("work/work-title") == "„Lied“ < 5"
    assert root.findtext("part-list/score-part/part-name") == "A <b> &  𝄞"


def test_a_piece_without_notes_is_a_bar_of_rest() -> None:
    root = root_of(made.piece([], [Voice("Nobody")]))

    assert [note.find("rest").get("measure") for note in notes_of(root)] == ["yes"]  # type: ignore[union-attr]


def test_the_same_piece_has_the_same_bytes() -> None:
    one, other = (musicxml_writer.write(made.changing(), title="Same") for _ in range(2))

    assert one == other


def test_the_file_says_that_it_is_musicxml() -> None:
    content = musicxml_writer.write(made.song(), title="Made")

    assert content.startswith(b'<?xml version="1.0" encoding="UTF-8"')
    assert b"//DTD MusicXML 4.0 Partwise//EN" in content and b'<score-partwise version="4.0">' in content
