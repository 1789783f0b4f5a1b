"""From posteriors to notes: each begins at an onset, or around a loudest moment that no onset explains.

The steps of Basic Pitch's note creation (Bittner et al., ICASSP 2022, arXiv 2203.09893), with their order, so that the
notes are the authors'; but linear in the recording's length where theirs grow with its square.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np

RATE, HOP = 22_050, 256
LOWEST_PITCH = 21
WINDOW_FRAMES, WINDOW_SAMPLES = 172, 43_844
# A note survives gaps shorter than this: 128 ms.
GAP_FRAMES = 11


class Posteriors(NamedTuple):
    """What the transcriber says of each frame, from 0 to 1, float32 (frames, 88), (frames, 88), (frames, 264)."""

    onset: np.ndarray
    note: np.ndarray
    contour: np.ndarray


class Note(NamedTuple):
    """One note."""

    onset_s: float
    offset_s: float
    pitch: int  # as MIDI numbers it: 21 to 108
    velocity: int  # 1 to 127
    amplitude: float  # the mean of its posterior


@dataclass(frozen=True)
class Thresholds:
    """When a posterior becomes a note; the defaults are the authors'."""

    onset_threshold: float = 0.5
    frame_threshold: float = 0.3
    minimum_note_ms: float = 127.7
    lowest_pitch: int = 21
    highest_pitch: int = 108

    @property
    def shortest(self) -> int:
        """Frames that a note must outlast."""
        return round(self.minimum_note_ms / 1000 * RATE / HOP)


AUTHORS = Thresholds()


class _Event(NamedTuple):
    """A note in frames; key 0 is the lowest of the piano."""

    start: int
    end: int
    key: int


def create(posteriors: Posteriors, thresholds: Thresholds = AUTHORS) -> list[Note]:
    """The notes by onset, then pitch; two of one pitch never overlap."""
    if len(posteriors.note) == 0:
        return []
    onsets, sounding = _by_key(posteriors.onset, thresholds), _by_key(posteriors.note, thresholds)
    unexplained = sounding.copy()
    events = list(_at_onsets(onsets, sounding, unexplained, thresholds))
    events += _around_maxima(unexplained, thresholds)
    times = frame_times(len(posteriors.note))
    return sorted(_note(event, times, sounding) for event in _apart(events, thresholds.shortest))


def frame_times(count: int) -> np.ndarray:
    """Seconds at which each frame begins, as the authors correct them, 1.8 ms a window included to make notes align.

    A window of 172 frames is .73 frames shorter than their hops say, and without the correction notes come .5 % late.
    """
    frames = np.arange(count)
    drift_s = HOP / RATE * (WINDOW_FRAMES - WINDOW_SAMPLES / HOP) + 0.0018
    return frames * HOP / RATE - drift_s * (frames // WINDOW_FRAMES)


def name_of(thresholds: Thresholds) -> str:
    """What tells apart notes made with other thresholds."""
    return "_".join(str(value) for value in astuple(thresholds))


def dump(notes: list[Note]) -> bytes:
    return json.dumps(notes, separators=(",", ":")).encode()


def parse(content: bytes) -> list[Note]:
    """What `dump` was given, exactly."""
    return [Note(*row) for row in json.loads(content)]


def _by_key(frames: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """(88, frames): one key lies in one piece; those outside the limits are silent."""
    by_key = np.ascontiguousarray(frames.T)
    by_key[: max(thresholds.lowest_pitch - LOWEST_PITCH, 0)] = 0
    by_key[max(thresholds.highest_pitch + 1 - LOWEST_PITCH, 0) :] = 0
    return by_key


def _at_onsets(
    onsets: np.ndarray, sounding: np.ndarray, unexplained: np.ndarray, thresholds: Thresholds
) -> Iterator[_Event]:
    """A note for each onset, the last first; what it explains of the key and its neighbours is wiped out."""
    last = sounding.shape[1] - 1
    for start, key in sorted(_onsets(onsets, sounding, thresholds.onset_threshold), reverse=True):
        stop, quiet = _forward(unexplained[key], start + 1, last, thresholds.frame_threshold)
        if stop - quiet - start > thresholds.shortest:
            _wipe(unexplained, key, start, stop - quiet)
            yield _Event(start, stop - quiet, key)


def _onsets(onsets: np.ndarray, sounding: np.ndarray, threshold: float) -> Iterator[tuple[int, int]]:
    """Frame and key of each peak in time of what the network calls an onset, or of a sudden rise of what sounds.

    The steepest rise counts as much as the surest onset does.
    """
    steepest = max(float(_rise(row).max()) for row in sounding)
    surest = np.float64(onsets.max())
    for key, (row, heard) in enumerate(zip(onsets, sounding, strict=True)):
        both = np.maximum(row, surest * _rise(heard) / steepest) if steepest else row
        inner = both[1:-1]
        peaks = (inner > both[:-2]) & (inner > both[2:]) & (inner >= threshold)
        yield from ((int(frame) + 1, key) for frame in np.flatnonzero(peaks))


def _rise(row: np.ndarray) -> np.ndarray:
    """By how much each frame of a key exceeds the two before it, float64; nothing for the first two."""
    row = row.astype(np.float64)
    rise = np.zeros_like(row)
    rise[2:] = np.maximum(row[2:] - np.maximum(row[1:-1], row[:-2]), 0)
    return rise


def _around_maxima(unexplained: np.ndarray, thresholds: Thresholds) -> Iterator[_Event]:
    """A note around each maximum of what no onset explains, the highest first (Melodia: Salamon & Gómez 2012).

    Cells are only ever wiped out, so that one sorting finds every maximum in turn.
    """
    last, least = unexplained.shape[1] - 1, thresholds.frame_threshold
    for middle, key in _loudest_first(unexplained, least):
        row = unexplained[key]
        if row[middle] == 0:
            continue
        row[middle] = 0
        stop, quiet_after = _forward(row, middle + 1, last, least)
        before, quiet_before = _backward(row, middle - 1, least)
        # The neighbours of the middle itself stay as they are: the authors leave them, and their notes are our measure.
        _wipe(unexplained, key, middle + 1, stop)
        _wipe(unexplained, key, before + 1, middle)
        event = _Event(before + 1 + quiet_before, stop - 1 - quiet_after, key)
        if event.end - event.start > thresholds.shortest:
            yield event


def _loudest_first(unexplained: np.ndarray, least: float) -> Iterator[tuple[int, int]]:
    """Frame and key of all cells above the threshold; among equals the earlier, then the lower."""
    # As float64: rounded to float32, the threshold would move past cells that equal it.
    keys, frames = np.nonzero(unexplained > np.float64(least))
    order = np.lexsort((keys, frames, -unexplained[keys, frames]))
    return zip(frames[order].tolist(), keys[order].tolist(), strict=True)


def _forward(row: np.ndarray, at: int, last: int, least: float) -> tuple[int, int]:
    """Where a key has been quiet for a gap's length, or the last frame; and how many frames before it were quiet."""
    cells, quiet = row.data, 0
    while at < last and quiet < GAP_FRAMES:
        quiet = quiet + 1 if cells[at] < least else 0
        at += 1
    return at, quiet


def _backward(row: np.ndarray, at: int, least: float) -> tuple[int, int]:
    """The same towards the beginning; the first frame is never reached."""
    cells, quiet = row.data, 0
    while at > 0 and quiet < GAP_FRAMES:
        quiet = quiet + 1 if cells[at] < least else 0
        at -= 1
    return at, quiet


def _wipe(unexplained: np.ndarray, key: int, start: int, end: int) -> None:
    """A tone leaks into the keys beside it, which would otherwise become notes of their own."""
    unexplained[max(key - 1, 0) : key + 2, max(start, 0) : end] = 0


def _apart(events: Iterable[_Event], shortest: int) -> Iterator[_Event]:
    """Each note until the next of its key at the latest, if it still outlasts the minimum.

    With the authors' minimum they are apart already. Of less than a gap, a note near the end of the recording may be
    bridged like one, from the last frame back to what sounds before it.
    """
    following: dict[int, int] = {}
    for event in sorted(events, reverse=True):
        end = min(event.end, following.get(event.key, event.end))
        if end - event.start > shortest:
            following[event.key] = event.start
            yield event._replace(end=end)


def _note(event: _Event, times: np.ndarray, sounding: np.ndarray) -> Note:
    amplitude = float(sounding[event.key, event.start : event.end].mean())
    return Note(
        # To the microsecond: what is written down and read again is then the same.
        onset_s=round(float(times[event.start]), 6),
        offset_s=round(float(times[event.end]), 6),
        pitch=LOWEST_PITCH + event.key,
        velocity=min(max(round(127 * amplitude), 1), 127),
        amplitude=round(amplitude, 6),
    )
