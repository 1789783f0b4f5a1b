"""MusicXML scores, partwise or timewise, as pieces: a voice for every voice of every part that has notes.

Read as written: repeats are not unfolded, ornaments not played out, grace notes and cue notes left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from worker.symbolic import bounds, markup
from worker.symbolic.flaws import Flaw
from worker.symbolic.musicxml_part import PartReader, Scribe
from worker.symbolic.piece import NOTE, TICKS, Key, Meter, Piece, Tempo


@dataclass(frozen=True)
class _Written:
    """A part: its id, its entry in the list of parts if it has one, and its measures."""

    id: str
    entry: Element | None
    measures: Sequence[Element]


def read(content: bytes, name: str) -> Piece:
    """The piece that a score holds. Raises Flaw."""
    parts = _parts(markup.parse(content))
    if not parts:
        raise Flaw("musicxml_invalid", "expected a score with parts, received none")
    if len(parts) > bounds.MOST_VOICES:
        raise Flaw("piece_too_large", f"expected at most {bounds.MOST_VOICES:,} parts, received {len(parts):,}")
    scribe = Scribe()
    readers = [PartReader(place, part.entry, scribe) for place, part in enumerate(parts)]
    pickup = _play(parts, readers, scribe)
    return bounds.check(_piece(name, readers, scribe, pickup))


def _parts(root: Element) -> list[_Written]:
    entries = {entry.get("id", ""): entry for entry in root.iterfind("part-list/score-part")}
    if root.tag == "score-partwise":
        written = [(part.get("id", ""), part.findall("measure")) for part in root.iterfind("part")]
        return [_Written(id, entries.get(id), measures) for id, measures in written]
    if root.tag == "score-timewise":
        by_part: dict[str, list[Element]] = {}
        for part in root.iterfind("measure/part"):
            by_part.setdefault(part.get("id", ""), []).append(part)
        return [_Written(id, entries.get(id), measures) for id, measures in by_part.items()]
    said = "expected MusicXML (score-partwise or score-timewise), received XML that begins otherwise"
    raise Flaw("unsupported_format", said)


def _play(parts: Sequence[_Written], readers: Sequence[PartReader], scribe: Scribe) -> int:
    """Read measure after measure, each in all parts, so that they stay together; returns the length of the pickup."""
    at = pickup = 0
    for place in range(max(len(part.measures) for part in parts)):
        ends = [
            reader.read(part.measures[place], at)
            for part, reader in zip(parts, readers, strict=True)
            if place < len(part.measures)
        ]
        bar = scribe.bar_ticks
        length = max(ends) - at or bar
        if place == 0 and length < bar:
            pickup = length
        at += length
        if at > bounds.MOST_TICKS:
            raise Flaw("piece_too_long", bounds.too_long(at / TICKS))
    return pickup


def _piece(name: str, readers: Sequence[PartReader], scribe: Scribe, pickup: int) -> Piece:
    named = [((reader.place, *_order(label)), label) for reader in readers for label in reader.voices]
    places = {(order[0], label): place for place, (order, label) in enumerate(sorted(named))}
    voices = [readers[part].voice(label) for part, label in places]
    notes = np.empty(len(scribe.notes), NOTE)
    for place, note in enumerate(scribe.notes):
        notes[place] = (note.onset, note.end - note.onset, note.pitch, note.velocity, places[note.part, note.voice])
    return Piece(
        name, notes, tuple(voices), _tempi(scribe.tempi), _meters(scribe.meters), _keys(scribe.keys), pickup
    ).sorted()  # fmt: skip


def _order(label: str) -> tuple[int, str]:
    """Voices are numbered, as a rule."""
    return (int(label), label) if label.isascii() and label.isdigit() else (10**9, label)


def _tempi(tempi: dict[int, float]) -> tuple[Tempo, ...]:
    ordered = [Tempo(tick, bpm) for tick, bpm in sorted(tempi.items())]
    return tuple(each for place, each in enumerate(ordered) if not place or ordered[place - 1].bpm != each.bpm)


def _meters(meters: dict[int, Meter]) -> tuple[Meter, ...]:
    ordered = [meter for _, meter in sorted(meters.items())]
    return tuple(each for place, each in enumerate(ordered) if not place or ordered[place - 1][1:] != each[1:])


def _keys(keys: dict[int, Key]) -> tuple[Key, ...]:
    ordered = [key for _, key in sorted(keys.items())]
    return tuple(each for place, each in enumerate(ordered) if not place or ordered[place - 1][1:] != each[1:])
