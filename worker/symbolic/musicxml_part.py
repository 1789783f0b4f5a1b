"""One part of a MusicXML score, read measure by measure: where each note stands, and what holds from there on."""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from xml.etree.ElementTree import Element

from shared import sorts
from worker.symbolic import bounds
from worker.symbolic.flaws import Flaw
from worker.symbolic.markup import number
from worker.symbolic.piece import HIGHEST, LOWEST, TICKS, USUAL_VELOCITY, Key, Meter, Voice

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
UNITS = {
    "breve": Fraction(8), "whole": Fraction(4), "half": Fraction(2), "quarter": Fraction(1), "eighth": Fraction(1, 2),
    "16th": Fraction(1, 4), "32nd": Fraction(1, 8), "64th": Fraction(1, 16),
}  # fmt: skip
# Dynamics count in per cent of a forte, which is 90 in MIDI.
FORTE, LOUDEST = 90, 127
DRUM_CHANNEL = 10
# What an unpitched note sounds as where nobody says: a snare drum.
SNARE = 38
LONGEST_LABEL = 20
# Of one pitch in one part; all are looked through.
MOST_TIES = 64


@dataclass
class Note:
    onset: int
    end: int
    pitch: int
    velocity: int
    part: int
    voice: str


@dataclass
class Scribe:
    """What all parts have said so far."""

    notes: list[Note] = field(default_factory=list)
    tempi: dict[int, float] = field(default_factory=dict)
    meters: dict[int, Meter] = field(default_factory=dict)
    keys: dict[int, Key] = field(default_factory=dict)
    _transposed: set[int] = field(default_factory=set)
    _bar_ticks: int = 4 * TICKS

    @property
    def bar_ticks(self) -> int:
        """The length of a bar in the meter that was written last."""
        return self._bar_ticks

    def add_meter(self, meter: Meter) -> None:
        """The upper part decides where two disagree."""
        self._bar_ticks = self.meters.setdefault(meter.tick, meter).bar_ticks

    def add_key(self, key: Key, *, is_transposed: bool) -> None:
        """The key of an instrument that sounds as written goes before that of one that does not."""
        if key.tick not in self.keys or (key.tick in self._transposed and not is_transposed):
            self.keys[key.tick] = key
            (self._transposed.add if is_transposed else self._transposed.discard)(key.tick)


class PartReader:
    """Reads the measures of a part, and remembers what holds on: divisions, transposition, dynamics, ties."""

    def __init__(self, place: int, entry: Element | None, scribe: Scribe) -> None:
        self.place, self._scribe = place, scribe
        self._name = bounds.name("" if entry is None else entry.findtext("part-name") or "") or f"Part {place + 1}"
        instruments = [] if entry is None else entry.findall("midi-instrument")
        programs = [_small(each, "midi-program", 128) for each in instruments]
        self._program = next((each - 1 for each in programs if each), 0)
        self._is_drum = any(_small(each, "midi-channel", 16) == DRUM_CHANNEL for each in instruments)
        self._drums = {each.get("id"): _small(each, "midi-unpitched", 128) for each in instruments}
        self.voices: dict[str, bool] = {}  # label, and whether it is one of drums
        self._divisions, self._transposition, self._velocity = Fraction(1), 0, USUAL_VELOCITY
        self._ties: dict[int, list[Note]] = {}
        self._start = self._base = 0
        self._at = self._chord_at = Fraction(0)

    def voice(self, label: str) -> Voice:
        """A voice of this part; it has a number where it is not the only one."""
        name = bounds.name(f"{self._name} {label}") if len(self.voices) > 1 else self._name
        return Voice(name, self._program, self._is_drum or self.voices[label])

    def read(self, measure: Element, start: int) -> int:
        """Take in what a measure holds that begins at this tick; returns the tick of its last end."""
        self._start = self._base = last = start
        self._at = self._chord_at = Fraction(0)
        for element in measure:
            match element.tag:
                case "note":
                    self._take_note(element)
                case "backup":
                    self._at = max(self._at - self._length(element), (self._start - self._base) * self._tick_share)
                case "forward":
                    self._at += self._length(element)
                case "attributes":
                    self._take_attributes(element)
                case "direction":
                    self._take_direction(element)
                case "sound":
                    self._take_sound(element, self._tick(self._at))
            last = max(last, self._tick(self._at))
            if last > bounds.MOST_TICKS:
                raise Flaw("piece_too_long", bounds.too_long(last / TICKS))
        return last

    @property
    def _tick_share(self) -> Fraction:
        """Of a division, how much a tick is."""
        return self._divisions / TICKS

    def _tick(self, at: Fraction) -> int:
        """Exact within a measure: only here is anything rounded."""
        return self._base + round(at * TICKS / self._divisions)

    def _length(self, element: Element) -> Fraction:
        length = Fraction(*number(element.findtext("duration"), "duration"))
        if length < 0:
            raise Flaw("musicxml_invalid", "expected a duration of 0 or more, received a negative number")
        return length

    def _take_note(self, note: Element) -> None:
        if note.find("grace") is not None:
            return
        at = self._chord_at if note.find("chord") is not None else self._at
        end = at + self._length(note)
        self._chord_at = at
        # The notes of a chord may differ in length: the first one moves on.
        self._at = self._at if note.find("chord") is not None else end
        if note.find("rest") is None and note.find("cue") is None:
            self._sound(note, self._tick(at), self._tick(end))

    def _sound(self, note: Element, onset: int, end: int) -> None:
        pitch, is_drum = self._pitch(note)
        if not LOWEST <= pitch <= HIGHEST:
            raise Flaw("pitch_range", f"expected pitches from {LOWEST} to {HIGHEST} as MIDI counts, received another")
        if end > bounds.MOST_TICKS:
            raise Flaw("piece_too_long", bounds.too_long(end / TICKS))
        label = (note.findtext("voice") or "1").strip()[:LONGEST_LABEL]
        ties = {tie.get("type") for tie in note.iterfind("tie")}
        held = self._held(pitch, onset, label) if "stop" in ties else None
        if held is not None:
            held.end = max(end, held.end)
        else:
            self.voices.setdefault(label, is_drum)
            held = Note(onset, max(end, onset + 1), pitch, self._loudness(note), self.place, label)
            self._scribe.notes.append(held)
        if len(self._scribe.notes) > bounds.MOST_NOTES:
            raise Flaw("piece_too_large", f"expected at most {bounds.MOST_NOTES:,} notes, received more")
        if "start" in ties:
            self._ties.setdefault(pitch, []).append(held)

    def _held(self, pitch: int, onset: int, label: str) -> Note | None:
        """The note of this pitch that is tied to here, in the same voice if there is one."""
        waiting = self._ties.pop(pitch, [])[-MOST_TIES:]
        ending = sorted((note for note in waiting if note.end == onset), key=lambda note: note.voice != label)
        # Of a tie that leads nowhere, nothing follows.
        left = [note for note in waiting if note.end >= onset and note is not next(iter(ending), None)]
        if left:
            self._ties[pitch] = left
        return ending[0] if ending else None

    def _pitch(self, note: Element) -> tuple[int, bool]:
        pitch, unpitched = note.find("pitch"), note.find("unpitched")
        if pitch is not None:
            return _midi(pitch, "step", "octave") + self._transposition, False
        instrument = note.find("instrument")
        known = self._drums.get(instrument.get("id")) if instrument is not None else None
        if known:
            return known - 1, True
        if unpitched is None:
            raise Flaw("musicxml_invalid", "expected a note with a pitch, or a rest, received neither")
        shown = unpitched.find("display-step") is not None
        return (_midi(unpitched, "display-step", "display-octave") if shown else SNARE), True

    def _loudness(self, note: Element) -> int:
        said = note.get("dynamics")
        return self._velocity if said is None else _velocity(said)

    def _take_attributes(self, attributes: Element) -> None:
        if (divisions := attributes.find("divisions")) is not None:
            self._base, self._at, self._chord_at = self._tick(self._at), Fraction(0), Fraction(0)
            self._divisions = Fraction(*number(divisions.text, "divisions"))
            if self._divisions <= 0:
                raise Flaw("musicxml_invalid", "expected divisions of more than 0")
        if (transpose := attributes.find("transpose")) is not None:
            octaves = _whole(transpose, "octave-change") if transpose.find("octave-change") is not None else 0
            self._transposition = _whole(transpose, "chromatic") + 12 * octaves
        if (key := attributes.find("key")) is not None and key.find("fifths") is not None:
            self._take_key(key)
        if (time := attributes.find("time")) is not None and time.find("beats") is not None:
            self._scribe.add_meter(Meter(self._tick(self._at), *_meter(time)))

    def _take_key(self, key: Element) -> None:
        sharps = _whole(key, "fifths")
        if self._transposition % 12:
            sharps = (sharps + 7 * self._transposition + 5) % 12 - 5
        if -7 <= sharps <= 7:
            is_minor = (key.findtext("mode") or "").strip().lower() in ("minor", "aeolian")
            said = Key(self._tick(self._at), sharps, "minor" if is_minor else "major")
            self._scribe.add_key(said, is_transposed=self._transposition % 12 != 0)

    def _take_direction(self, direction: Element) -> None:
        offset = direction.findtext("offset")
        at = self._at if offset is None else self._at + Fraction(*number(offset, "offset"))
        tick = min(max(self._tick(at), 0), bounds.MOST_TICKS)
        sound = direction.find("sound")
        if sound is not None:
            self._take_sound(sound, tick)
        metronome = direction.find("direction-type/metronome")
        if metronome is not None and (sound is None or sound.get("tempo") is None):
            bpm = _metronome(metronome)
            if bpm is not None:
                self._scribe.tempi[tick] = bounds.tempo(bpm)

    def _take_sound(self, sound: Element, tick: int) -> None:
        if (tempo := sound.get("tempo")) is not None:
            whole, scale = number(tempo, "tempo")
            self._scribe.tempi[tick] = bounds.tempo(whole / scale)
        if (dynamics := sound.get("dynamics")) is not None:
            self._velocity = _velocity(dynamics)


def _midi(pitch: Element, step: str, octave: str) -> int:
    letter = (pitch.findtext(step) or "").strip()
    if letter not in STEPS:
        raise Flaw("musicxml_invalid", f"expected a step from A to G, received {sorts.of(letter)}")
    alter = Fraction(*number(pitch.findtext("alter"), "alter")) if pitch.find("alter") is not None else Fraction(0)
    # Quarter tones are rounded: nothing here knows them.
    return STEPS[letter] + round(alter) + 12 * (_whole(pitch, octave) + 1)


def _whole(element: Element, tag: str) -> int:
    whole, scale = number(element.findtext(tag), tag)
    # Large ones would not fit where pitches are kept.
    return max(-1_000, min(1_000, whole // scale))


def _small(element: Element, tag: str, most: int) -> int:
    """A number from 1, or 0 where it is not said, or nonsense."""
    text = (element.findtext(tag) or "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) and 1 <= int(text) <= most else 0


def _velocity(said: str) -> int:
    whole, scale = number(said, "dynamics")
    return max(1, min(LOUDEST, round(whole / scale * FORTE / 100)))


def _meter(time: Element) -> tuple[int, int]:
    """Beats and unit; of sums such as 3/8 + 2/4, in the smaller unit."""
    beats = [(each.text or "").strip() for each in time.iterfind("beats")]
    units = [(each.text or "").strip() for each in time.iterfind("beat-type")]
    sums = [_terms(each) for each in beats]
    if len(beats) != len(units) or not all(re.fullmatch("[0-9]{1,3}", each) for each in units) or not all(sums):
        raise Flaw("meter_invalid", "expected a meter such as 3/4, received something else")
    smallest = max(int(each) for each in units)
    pairs = [bounds.meter(total, int(unit)) for total, unit in zip(sums, units, strict=True)]
    return bounds.meter(sum(total * smallest // unit for total, unit in pairs), smallest)


def _terms(text: str) -> int:
    """Of 3+2 the sum; 0 of what is none."""
    terms = [each.strip() for each in text.split("+")][:16]
    return sum(map(int, terms)) if all(re.fullmatch("[0-9]{1,3}", each) for each in terms) else 0


def _metronome(metronome: Element) -> float | None:
    """Quarters a minute, where the mark says a number: 'c. 60', too; an equation of two notes says none."""
    unit = UNITS.get((metronome.findtext("beat-unit") or "").strip())
    found = re.search(r"-?[0-9]{1,6}(?:\.[0-9]{1,3})?", (metronome.findtext("per-minute") or "")[:40])
    if unit is None or found is None or len(metronome.findall("beat-unit")) > 1:
        return None
    dots = min(len(metronome.findall("beat-unit-dot")), 4)
    return float(found[0]) * float(unit * (2 - Fraction(1, 2**dots)))
