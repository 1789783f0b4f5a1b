"""MusicXML as pieces: as music21 reads it, what is left out, what is refused, and that no bytes do anything else."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from music21 import converter

from tests.worker.symbolic import scores
from tests.worker.symbolic.scores import DOCTYPE, attributes, note, rest, score
from worker.symbolic import markup, musicxml, mxl
from worker.symbolic.flaws import Flaw
from worker.symbolic.piece import TICKS, Bars, Key, Meter, Piece, Tempo, Voice

START, STOP = '<tie type="start"/>', '<tie type="stop"/>'
GOOD = score(
    [attributes() + '<sound tempo="90"/>' + note("C4", 2) + note("E4", 2, START), note("E4", 4, STOP)],
    [attributes() + note("C3", 4, "<voice>1</voice>") + "<backup><duration>4</duration></backup>"
     + note("G2", 4, "<voice>2</voice>"), rest(4)],
    head=DOCTYPE,
)  # fmt: skip


def read(*parts: list[str], **others: str) -> Piece:
    return musicxml.read(score(*parts, **others), "m")


def told(piece: Piece) -> list[tuple[float, float, int]]:
    """Onset and duration in quarters, and pitch."""
    return [(int(each["onset"]) / TICKS, int(each["duration"]) / TICKS, int(each["pitch"])) for each in piece.notes]


def refused(content: bytes) -> Flaw:
    with pytest.raises(Flaw) as caught:
        musicxml.read(content, "m")
    return caught.value


@pytest.mark.parametrize("name", ["bwv1.6", "bwv269", "bwv113.8", "bwv153.9"])
def test_a_chorale_has_the_notes_that_music21_reads(name: str) -> None:
    path = scores.CHORALES / f"{name}.mxl"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = converter.parse(path, forceSource=True)
    expected = sorted(
        (float(each.offset), float(each.quarterLength), pitch.midi)
        for part in theirs.parts
        for each in part.stripTies().flatten().notes
        for pitch in each.pitches
    )

    piece = mxl.read(path.read_bytes(), name)

    assert np.abs(np.array(sorted(told(piece))) - np.array(expected)).max() < 1e-3
    assert [voice.name for voice in piece.voices] == [part.partName for part in theirs.parts if part.flatten().notes]
    signature = theirs.parts[0].flatten().getElementsByClass("TimeSignature")[0]
    assert piece.meters[0][1:] == (signature.numerator, signature.denominator)
    assert piece.keys[0].sharps == theirs.parts[0].flatten().getElementsByClass("KeySignature")[0].sharps


def test_parts_and_voices_are_kept_in_their_order() -> None:
    piece = musicxml.read(GOOD, "m")

    assert piece.voices == (Voice("Part A"), Voice("Part B 1"), Voice("Part B 2"))
    assert told(piece) == [(0, 2, 60), (0, 4, 48), (0, 4, 43), (2, 6, 64)]
    assert (piece.tempi, piece.meters, piece.keys) == ((Tempo(0, 90.0),), (Meter(0, 4, 4),), (Key(0, 0, "major"),))


def test_a_score_by_measures_is_the_same_as_one_by_parts() -> None:
    by_measures = (
        b"<score-timewise><part-list/><measure><part id='a'>" + (attributes() + note("C4", 4)).encode()
        + b"</part><part id='b'>" + note("C3", 4).encode() + b"</part></measure></score-timewise>"
    )  # fmt: skip

    assert told(musicxml.read(by_measures, "m")) == [(0, 4, 60), (0, 4, 48)]


def test_ties_are_joined_across_bars_and_voices() -> None:
    piece = read([
        attributes() + note("C4", 4, f"{START}<voice>1</voice>"),
        note("C4", 4, f"{STOP}{START}<voice>2</voice>"), note("C4", 2, STOP) + note("C4", 2),
    ])  # fmt: skip

    assert told(piece) == [(0, 10, 60), (10, 2, 60)]


def test_a_tie_that_leads_nowhere_is_a_note_and_so_is_one_that_comes_from_nowhere() -> None:
    piece = read([attributes() + note("C4", 1, START) + rest(1) + note("C4", 2, STOP)])

    assert told(piece) == [(0, 1, 60), (2, 2, 60)]


def test_a_chord_sounds_at_once_and_the_first_note_moves_on() -> None:
    piece = read([attributes() + note("C4", 2) + note("E4", 1, "<chord/>") + note("G4", 2)])

    assert told(piece) == [(0, 2, 60), (0, 1, 64), (2, 2, 67)]


def test_grace_notes_cue_notes_and_rests_do_not_sound() -> None:
    grace = "<note><grace/><pitch><step>D</step><octave>4</octave></pitch></note>"
    cue = note("A5", 1).replace("<note>", "<note><cue/>")

    assert told(read([attributes() + grace + cue + rest(1) + note("C4", 2)])) == [(2, 2, 60)]


def test_divisions_may_change_within_a_bar() -> None:
    thirds = "<attributes><divisions>3</divisions></attributes>"

    piece = read([attributes(divisions=2) + note("C4", 2) + thirds + note("D4", 1) * 3 + note("E4", 6)])

    assert told(piece) == [(0, 1, 60), (1, 1 / 3, 62), (4 / 3, 1 / 3, 62), (5 / 3, 1 / 3, 62), (2, 2, 64)]


def test_tuplets_that_no_tick_divides_stay_in_their_bar() -> None:
    piece = read([attributes(divisions=11, time=(1, 4)) + note("C4", 1) * 11] * 8)

    assert (piece.notes["onset"][::11] == np.arange(8) * TICKS).all()


def test_transposing_instruments_sound_and_the_key_is_that_of_the_others() -> None:
    clarinet = attributes(fifths=2, extra="<transpose><chromatic>-2</chromatic></transpose>")

    alone = read([clarinet + note("D4", 4)])
    beside = read([clarinet + note("D4", 4)], [attributes(fifths=-1) + note("C4", 4)])

    assert (told(alone), alone.keys) == ([(0, 4, 60)], (Key(0, 0, "major"),))
    assert beside.keys == (Key(0, -1, "major"),)


def test_a_first_bar_that_is_shorter_is_a_pickup() -> None:
    piece = read([attributes() + note("C4", 1), note("D4", 4), note("E4", 3)])

    assert piece.pickup == TICKS
    assert (Bars(piece).starts / TICKS).tolist() == [0, 1, 5]
    assert told(piece) == [(0, 1, 60), (1, 4, 62), (5, 3, 64)]


def test_a_bar_that_is_empty_everywhere_lasts_as_long_as_its_meter_says() -> None:
    assert told(read([attributes(time=(3, 4)) + rest(3), "", note("C4", 3)])) == [(6, 3, 60)]


def test_tempi_of_marks_are_read_where_no_number_is_said_to_sound() -> None:
    mark = (
        "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><beat-unit-dot/>"
        "<per-minute>c. 60</per-minute></metronome></direction-type>{}</direction>"
    )

    written = read([attributes() + mark.format("") + note("C4", 4)])
    said = read([attributes() + mark.format('<sound tempo="100"/>') + note("C4", 4)])

    assert (written.tempi, said.tempi) == ((Tempo(0, 90.0),), (Tempo(0, 100.0),))


def test_drums_are_known_by_their_channel_and_by_unpitched_notes() -> None:
    listed = (
        '<score-part id="P0"><part-name>Kit</part-name><score-instrument id="I1"/><midi-instrument id="I1">'
        "<midi-channel>10</midi-channel><midi-unpitched>37</midi-unpitched></midi-instrument></score-part>"
        '<score-part id="P1"><part-name>Pauke</part-name></score-part>'
        '<score-part id="P2"><part-name>Organ</part-name><midi-instrument id="I2"><midi-program>20</midi-program>'
        "</midi-instrument></score-part>"
    )
    shown = "<unpitched><display-step>C</display-step><display-octave>3</display-octave></unpitched>"
    drum = '<note><unpitched/><duration>4</duration><instrument id="I1"/></note>'

    piece = read([attributes() + drum], [f"<note>{shown}<duration>4</duration></note>"], [note("C4", 4)], listed=listed)

    assert piece.voices == (Voice("Kit", 0, True), Voice("Pauke", 0, True), Voice("Organ", 19))
    assert [pitch for _, _, pitch in told(piece)] == [36, 48, 60]


def test_meters_may_be_sums() -> None:
    summed = "<time><beats>3+2</beats><beat-type>8</beat-type><beats>1</beats><beat-type>4</beat-type></time>"

    piece = read([f"<attributes><divisions>2</divisions>{summed}</attributes>" + note("C4", 7)])

    assert piece.meters == (Meter(0, 7, 8),)


def test_the_line_that_names_a_dtd_is_allowed_and_nothing_is_fetched() -> None:
    assert len(musicxml.read(GOOD, "m").notes) == 4


def entity(declaration: str) -> bytes:
    return score([attributes() + note("C4", 4)], head=f"<!DOCTYPE score-partwise [{declaration}]>")


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha"}">' for n in range(10))
BODY = attributes() + note("C4", 4)


@pytest.mark.hostile("H66")
@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (entity(LAUGHS), "xml_entities", "no declarations"),
        (entity('<!ENTITY e SYSTEM "file:///etc/passwd">'), "xml_entities", "no declarations"),
        (entity('<!ENTITY % e SYSTEM "http://127.0.0.1/x"> %e;'), "xml_entities", "no declarations"),
        (b"<score-partwise>" + b"<a>" * 100_000, "xml_too_deep", "deep"),
        (score([BODY])[:-30], "xml_corrupt", "cannot be read"),
        (b"<score-partwise>\xff</score-partwise>", "xml_corrupt", "cannot be read"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "xml_corrupt", "none that is known"),
        (b"<html><body/></html>", "unsupported_format", "begins otherwise"),
        (b"<score-partwise/>", "musicxml_invalid", "with parts"),
        (b" " * (markup.MOST_BYTES + 1), "piece_too_large", "64 MiB"),
        (b"<a " + b" ".join(b"a%d='1'" % n for n in range(60)) + b"/>", "piece_too_large", "attributes"),
        (score([BODY + '<sound tempo="0"/>']), "tempo_invalid", "received a whole number"),
        (score([BODY + '<sound tempo="-60"/>']), "tempo_invalid", "received a negative number"),
        (score([BODY + '<sound tempo="nan"/>']), "musicxml_invalid", "text of 3 characters"),
        (score([BODY + '<sound tempo="1e999999999"/>']), "musicxml_invalid", "an infinite number"),
        (score([attributes(time=(0, 4))]), "meter_invalid", "such as 3/4"),
        (score([attributes(time=(4, 3))]), "meter_invalid", "received another"),
        (score([attributes(divisions=0)]), "musicxml_invalid", "more than 0"),
        (score([attributes() + note("C4", -1)]), "musicxml_invalid", "0 or more"),
        (score([attributes() + note("C4", "1/2")]), "musicxml_invalid", "text of 3 characters"),
        (score([attributes() + note("C4", 999_999_999)]), "piece_too_long", "999,999,999"),
        (score([BODY + note("E4", "999999999.9", "<chord/>")]), "piece_too_long", "1,000,000,000"),
        (score([attributes() + note("C#4", 4).replace(">1<", ">99999999<")]), "pitch_range", "received another"),
        (score([attributes() + note("H4", 4)]), "musicxml_invalid", "text of 1 character"),
        (score([attributes() + note("C4", 4).replace(">4<", ">99<", 1)]), "pitch_range", "from 0 to 127"),
        (score([attributes() + "<note><duration>4</duration></note>"]), "musicxml_invalid", "or a rest"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(content: bytes, code: str, said: str) -> None:
    flaw = refused(content)

    assert flaw.code == code
    assert said in flaw.detail


def test_more_elements_than_any_score_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markup, "MOST_ELEMENTS", 1_000)

    assert refused(score([BODY + "<note/>" * 1_000])).code == "piece_too_large"


def test_ties_of_one_pitch_by_the_thousand_are_read_in_no_time_that_grows_with_their_square() -> None:
    chord = note("C4", 4, START) + note("C4", 4, f"<chord/>{START}{STOP}") * 20_000

    assert len(read([attributes() + chord]).notes) == 20_001


def check_outcome(content: bytes) -> None:
    try:
        piece = musicxml.read(content, "m")
    except Flaw as flaw:
        assert flaw.detail.isprintable()
        return
    assert np.all(piece.notes["duration"] > 0)
    assert np.all(np.diff(piece.notes["onset"]) >= 0)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_whatever_bytes_are_changed_it_is_a_piece_or_a_fault(changes: list[tuple[int, int]]) -> None:
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value

    check_outcome(bytes(content))


WORDS = st.sampled_from(
    [
        "<note>", "</note>", "<chord/>", "<rest/>", "<grace/>", "<pitch>", "</pitch>", "<step>C</step>", "<unpitched/>",
        "<octave>4</octave>", "<duration>3</duration>", "<duration>-3</duration>", "<duration/>", "<tie type='stop'/>",
        "<tie type='start'/>", "<voice>x</voice>", "<backup><duration>9</duration></backup>", "<sound tempo='60'/>",
        "<forward><duration>2</duration></forward>", "<sound dynamics='1e3'/>", "<alter>0.5</alter>",
        "<attributes><divisions>7</divisions></attributes>", 
        "<direction><offset>-5</offset><sound tempo='70'/></direction>",
        "<attributes><time><beats/><beat-type>4</beat-type></time></attributes>", "<octave>-9</octave>",
        "<alter>99999999</alter>", "<duration>999999999.999999</duration>", "<duration>0.000001</duration>",
        "<direction><offset>999999999</offset><sound tempo='70'/></direction>",
        "<attributes><key><fifths>99</fifths></key></attributes>", "<attributes><transpose/></attributes>",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=30))
def test_elements_in_any_order_are_a_piece_or_a_fault(words: list[str]) -> None:
    check_outcome(score(["".join(words)]))
    for place in range(0, len(words), 3):
        check_outcome(score([attributes() + f"<note>{''.join(words[place : place + 3])}</note>"]))
