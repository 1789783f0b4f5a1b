"""A piece as MusicXML 4.0, score-partwise: one part a voice, as programs for notation open it.

Thirty-seconds and triplets down to sixteenths are kept, beat by beat; anything finer is rounded to the nearer of them.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from worker.symbolic import midi_writer, notation, spelling
from worker.symbolic.notation import Measures, Written
from worker.symbolic.piece import TICKS, USUAL_BPM, Bars, Key, Meter, Piece, Tempo, Voice

HEAD = (
    '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN"'
    ' "http://www.musicxml.org/dtds/partwise.dtd">\n'
)
# What XML 1.0 has no place for, not even escaped.
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
MIDDLE_C = 60
TREBLE, BASS, PERCUSSION = ("G", 2), ("F", 4), ("percussion", None)
# Where usual drums stand on the staff (Weinberg, "Guide to standardized drumset notation", 1998), others in its middle.
DRUM_PLACES = {35: "F4", 36: "F4", 37: "C5", 38: "C5", 40: "C5", 41: "A4", 42: "G5", 43: "A4", 44: "D4", 45: "D5"}
DRUM_PLACES |= {46: "G5", 47: "D5", 48: "E5", 49: "A5", 50: "E5", 51: "F5", 53: "F5", 55: "A5", 57: "A5", 59: "F5"}
ANY_DRUM = "B4"

Change = TypeVar("Change", Meter, Key)


def write(piece: Piece, *, title: str) -> bytes:
    """The same bytes for the same piece; keys that it does not tell are found from its notes."""
    return _Score(piece, title).written()


class _Score:
    """What all parts share: bars, keys, meters and how long a division is."""

    def __init__(self, piece: Piece, title: str) -> None:
        self.piece, self.title = piece, title
        bars = Bars(piece)
        self.measures = Measures.of(bars)
        starts = self.measures.starts
        meters, keys = piece.meters or (Meter(0, 4, 4),), piece.keys or (spelling.find_key(piece),)
        self.meters, self.keys = _at(starts, meters), _at(starts, keys)
        self.tempi = _in_bars(piece.tempi or (Tempo(0, USUAL_BPM),), self.measures)
        self.lines = [self._lines(place) for place in range(len(piece.voices))]
        self.division = math.gcd(TICKS, *self._lengths())

    def _lines(self, place: int) -> list[dict[int, list[Written]]]:
        notes = self.piece.notes[self.piece.notes["voice"] == place]
        return [notation.cut(line, self.measures) for line in notation.lines(notes, self.measures)]

    def _lengths(self) -> Iterable[int]:
        yield from (self.measures.ends - self.measures.starts).tolist()
        for lines in self.lines:
            yield from (each.value.length for line in lines for bar in line.values() for each in bar)

    def written(self) -> bytes:
        root = Element("score-partwise", version="4.0")
        _add(_add(root, "work"), "work-title", self.title)
        _add(_add(_add(root, "identification"), "encoding"), "software", "Etude")
        listed = _add(root, "part-list")
        channels = midi_writer.channels(self.piece.voices)
        for place, (voice, channel) in enumerate(zip(self.piece.voices, channels, strict=True)):
            _list(listed, f"P{place + 1}", voice, channel, self._pitches(place))
        for place in range(len(self.piece.voices)):
            self._part(_add(root, "part", id=f"P{place + 1}"), place)
        ElementTree.indent(root, " ")
        return (HEAD + ElementTree.tostring(root, encoding="unicode") + "\n").encode()

    def _pitches(self, place: int) -> list[int]:
        return np.unique(self.piece.notes["pitch"][self.piece.notes["voice"] == place]).tolist()

    def _part(self, part: Element, place: int) -> None:
        for bar in range(len(self.measures.starts)):
            measure = _add(part, "measure", number=str(bar + int(not self.piece.pickup)))
            if bar == 0 and self.piece.pickup:
                measure.set("implicit", "yes")
            self._attributes(measure, bar, place)
            if place == 0:
                for offset, bpm in self.tempi.get(bar, ()):
                    _tempo(measure, offset // self.division, bpm)
            self._bar(measure, bar, place)

    def _attributes(self, measure: Element, bar: int, place: int) -> None:
        key, meter, is_first = self.keys[bar], self.meters[bar], bar == 0
        is_new_key = is_first or key[1:] != self.keys[bar - 1][1:]
        is_new_meter = is_first or meter[1:] != self.meters[bar - 1][1:]
        if not is_new_key and not is_new_meter:
            return
        attributes = _add(measure, "attributes")
        if is_first:
            _add(attributes, "divisions", TICKS // self.division)
        if is_new_key and not self.piece.voices[place].is_drum:
            signature = _add(attributes, "key")
            _add(signature, "fifths", key.sharps)
            _add(signature, "mode", key.mode)
        if is_new_meter:
            time = _add(attributes, "time")
            _add(time, "beats", meter.beats)
            _add(time, "beat-type", meter.unit)
        if is_first:
            sign, line = self._clef(place)
            clef = _add(attributes, "clef")
            _add(clef, "sign", sign)
            if line:
                _add(clef, "line", line)

    def _clef(self, place: int) -> tuple[str, int | None]:
        """The treble's if the voice sounds above middle C on the whole."""
        if self.piece.voices[place].is_drum:
            return PERCUSSION
        notes = self.piece.notes[self.piece.notes["voice"] == place]
        balance = ((notes["pitch"] - float(MIDDLE_C)) * notes["duration"]).sum()
        return TREBLE if balance >= 0 else BASS

    def _bar(self, measure: Element, bar: int, place: int) -> None:
        """Its first line, and the others that have notes in it; every line fills the bar."""
        length = int(self.measures.ends[bar] - self.measures.starts[bar]) // self.division
        lines = [(number, line[bar]) for number, line in enumerate(self.lines[place], start=1) if bar in line]
        if not lines or lines[0][0] != 1:
            _whole_rest(measure, length)
        for number, line in lines:
            if number > 1:
                _add(_add(measure, "backup"), "duration", length)
            for written in line:
                self._write(measure, written, str(number), bar, place)

    def _write(self, measure: Element, written: Written, number: str, bar: int, place: int) -> None:
        for turn, pitch in enumerate(written.pitches or (None,)):
            note = _add(measure, "note")
            if pitch is None and number != "1":
                note.set("print-object", "no")
            if turn:
                _add(note, "chord")
            self._head(note, pitch, bar, place)
            value = written.value
            _add(note, "duration", value.length // self.division)
            ties = ("stop",) * written.is_tied_back + ("start",) * written.is_tied_on
            for tie in ties:
                _add(note, "tie", type=tie)
            if pitch is not None and self.piece.voices[place].is_drum:
                _add(note, "instrument", id=f"P{place + 1}-I{pitch}")
            _add(note, "voice", number)
            _value(note, written)
            _notations(note, ties, value.bracket if turn == 0 else ())

    def _head(self, note: Element, pitch: int | None, bar: int, place: int) -> None:
        if pitch is None:
            _add(note, "rest")
            return
        if self.piece.voices[place].is_drum:
            place_on_staff = DRUM_PLACES.get(pitch, ANY_DRUM)
            head = _add(note, "unpitched")
            _add(head, "display-step", place_on_staff[0])
            _add(head, "display-octave", place_on_staff[1])
            return
        name = spelling.spell(pitch, self.keys[bar]._replace(tick=0))
        head = _add(note, "pitch")
        _add(head, "step", name.step)
        if name.alter:
            _add(head, "alter", name.alter)
        _add(head, "octave", name.octave)


def _at(starts: np.ndarray, changes: Sequence[Change]) -> list[Change]:
    """What holds at each tick; before the first change that one."""
    places = np.searchsorted([change.tick for change in changes], starts, side="right") - 1
    return [changes[place] for place in np.maximum(places, 0).tolist()]


def _in_bars(tempi: Sequence[Tempo], measures: Measures) -> dict[int, list[tuple[int, float]]]:
    """By bar, how far into it each tempo begins, and the tempo; those that repeat the one before are left out."""
    found: dict[int, list[tuple[int, float]]] = {}
    before = None
    for tempo in tempi:
        if (bpm := round(tempo.bpm, 2)) == before:
            continue
        bar = int(measures.at(np.array([tempo.tick]))[0])
        found.setdefault(bar, []).append((tempo.tick - int(measures.starts[bar]), bpm))
        before = bpm
    return found


def _list(listed: Element, part: str, voice: Voice, channel: int, pitches: Sequence[int]) -> None:
    """A part's name and instruments; each drum is an instrument of its own."""
    score_part = _add(listed, "score-part", id=part)
    _add(score_part, "part-name", voice.name)
    drums = pitches if voice.is_drum else ()
    ids = [f"{part}-I{pitch}" for pitch in drums] or [f"{part}-I1"]
    for each in ids:
        _add(_add(score_part, "score-instrument", id=each), "instrument-name", voice.name or part)
    for place, each in enumerate(ids):
        midi = _add(score_part, "midi-instrument", id=each)
        _add(midi, "midi-channel", channel + 1)
        _add(midi, "midi-program", voice.program + 1)
        if drums:
            _add(midi, "midi-unpitched", drums[place] + 1)


def _tempo(measure: Element, offset: int, bpm: float) -> None:
    direction = _add(measure, "direction", placement="above")
    metronome = _add(_add(direction, "direction-type"), "metronome")
    _add(metronome, "beat-unit", "quarter")
    _add(metronome, "per-minute", f"{bpm:g}")
    if offset:
        _add(direction, "offset", offset, sound="yes")
    _add(direction, "sound", tempo=f"{bpm:g}")


def _whole_rest(measure: Element, length: int) -> None:
    note = _add(measure, "note")
    _add(note, "rest", measure="yes")
    _add(note, "duration", length)
    _add(note, "voice", "1")


def _value(note: Element, written: Written) -> None:
    value = written.value
    if value.name is None:
        return
    _add(note, "type", value.name)
    for _ in range(value.dots):
        _add(note, "dot")
    if value.is_triplet:
        modified = _add(note, "time-modification")
        _add(modified, "actual-notes", 3)
        _add(modified, "normal-notes", 2)


def _notations(note: Element, ties: Sequence[str], bracket: Sequence[str]) -> None:
    if not ties and not bracket:
        return
    notations = _add(note, "notations")
    for tie in ties:
        _add(notations, "tied", type=tie)
    for edge in bracket:
        _add(notations, "tuplet", type=edge, number="1")


def _add(parent: Element, name: str, text: object = None, **attributes: str) -> Element:
    element = ElementTree.SubElement(parent, name, attributes)
    if text is not None:
        element.text = FORBIDDEN.sub("", str(text))
    return element
