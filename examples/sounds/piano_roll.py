"""How much of a piece a transcription found, as numbers and as a picture of text."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from examples.sounds.composer import Note

# What MIREX and mir_eval take: an onset that is off by more is another note.
ONSET_S = 0.05
FOUND, MISSED, INVENTED = "█", "░", "×"
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@dataclass(frozen=True)
class Comparison:
    """The true notes that were found and missed, and the heard ones that are not there."""

    found: list[Note]
    missed: list[Note]
    invented: list[Note]

    @property
    def recall(self) -> float:
        return len(self.found) / max(1, len(self.found) + len(self.missed))

    @property
    def precision(self) -> float:
        return len(self.found) / max(1, len(self.found) + len(self.invented))


def compare(true: Sequence[Note], heard: Sequence[Note]) -> Comparison:
    """Pair notes of one pitch whose onsets are at most 50 ms apart, each once."""
    found: list[Note] = []
    missed: list[Note] = []
    invented: list[Note] = []
    of_true, of_heard = _by_pitch(true), _by_pitch(heard)
    for pitch in sorted(of_true.keys() | of_heard.keys()):
        left = of_heard[pitch]
        for note in of_true[pitch]:
            # The earliest that is near enough: what is later may still fit a later note.
            while left and left[0].onset_s < note.onset_s - ONSET_S:
                invented.append(left.pop(0))
            is_found = bool(left) and left[0].onset_s <= note.onset_s + ONSET_S
            if is_found:
                left.pop(0)
            (found if is_found else missed).append(note)
        invented += left
    return Comparison(found, missed, invented)


def _by_pitch(notes: Iterable[Note]) -> dict[int, list[Note]]:
    rows: dict[int, list[Note]] = defaultdict(list)
    for note in sorted(notes, key=lambda note: note.onset_s):
        rows[note.pitch].append(note)
    return rows


def draw(compared: Comparison, *, seconds: float, columns: int = 96) -> list[str]:
    """A line a pitch from the highest down: what was found, missed, and heard without being there."""
    parts = ((compared.missed, MISSED), (compared.found, FOUND), (compared.invented, INVENTED))
    pitches = {note.pitch for notes, _ in parts for note in notes if note.onset_s < seconds}
    lines = {pitch: [" "] * columns for pitch in sorted(pitches, reverse=True)}
    for notes, sign in parts:
        for note in notes:
            if note.onset_s < seconds:
                _mark(lines[note.pitch], note, sign, columns / seconds)
    return [f"{name_of(pitch):>4} {''.join(line)}".rstrip() for pitch, line in lines.items()]


def _mark(line: list[str], note: Note, sign: str, columns_a_second: float) -> None:
    start = int(note.onset_s * columns_a_second)
    # One column less than it lasts, so that a repeated note is two.
    end = max(start + 1, int((note.onset_s + note.length_s) * columns_a_second) - 1)
    for column in range(start, min(end, len(line))):
        line[column] = sign


def name_of(pitch: int) -> str:
    """`C4` for 60."""
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"
