"""What a symbolic piece may be, and the check that every reader's piece passes."""

from itertools import pairwise

import numpy as np

from shared import sorts
from worker.symbolic.clock import seconds
from worker.symbolic.flaws import Flaw
from worker.symbolic.piece import HIGHEST, LOWEST, TICKS, Meter, Piece

MiB = 1024 * 1024
# The longest works have a few thousand bars; what is longer is a wrong number, and would make as many empty bars.
MOST_QUARTERS, MOST_HOURS = 100_000, 24
MOST_TICKS = MOST_QUARTERS * TICKS
# A symphony has 60,000; what comes out of a pianist's hands in a day has fewer, too.
MOST_NOTES = 500_000
MOST_VOICES = 1_024
# A curve of the tempo, drawn by hand or by a sequencer, has some thousands of points.
MOST_CHANGES = 50_000
# As many as 100,000 quarters have in the shortest meter that music is written in, 1/4.
MOST_BARS = 100_000
SLOWEST_BPM, FASTEST_BPM = 1.0, 2_000.0
# The smallest note that any notation has is one of 128: so a bar of any meter is a whole number of ticks.
FINEST_UNIT, MOST_BEATS = 128, 255
# Shown in tables and reports; some programs write whole poems there.
NAME_SIGNS = 100


def check(piece: Piece) -> Piece:
    """The same piece. Raises Flaw when it is too large, or holds what no piece has."""
    notes = piece.notes
    too_many = {
        "notes": (len(notes), MOST_NOTES),
        "voices": (len(piece.voices), MOST_VOICES),
        "changes of tempo": (len(piece.tempi), MOST_CHANGES),
        "changes of meter": (len(piece.meters), MOST_CHANGES),
        "changes of key": (len(piece.keys), MOST_CHANGES),
    }
    for what, (count, most) in too_many.items():
        if count > most:
            raise Flaw("piece_too_large", f"expected at most {most:,} {what}, received {count:,}")
    if piece.length > MOST_TICKS:
        raise Flaw("piece_too_long", too_long(piece.length / TICKS))
    if len(notes) and not bool(np.all((notes["pitch"] >= LOWEST) & (notes["pitch"] <= HIGHEST))):
        raise Flaw("pitch_range", f"expected pitches from {LOWEST} to {HIGHEST}, as MIDI counts them, received others")
    if _bars(piece) > MOST_BARS:
        raise Flaw("piece_too_long", f"expected at most {MOST_BARS:,} bars, received more")
    if seconds(piece, piece.length) > MOST_HOURS * 3600:
        raise Flaw("piece_too_long", f"expected at most {MOST_HOURS} hours at the written tempo, received more")
    return piece


def _bars(piece: Piece) -> int:
    """About how many bars there are: counted before anybody makes a list of them."""
    meters = [*(piece.meters or (Meter(0, 4, 4),)), Meter(piece.length, 4, 4)]
    return sum(max(0, after.tick - here.tick) // here.bar_ticks for here, after in pairwise(meters))


def too_long(quarters: float) -> str:
    return f"expected at most {MOST_QUARTERS:,} quarters, received {quarters:,.0f}"


def tempo(bpm: float) -> float:
    """The same quarters a minute. Raises Flaw when nothing can be played at that."""
    if not SLOWEST_BPM <= bpm <= FASTEST_BPM:
        said = f"expected a tempo of {SLOWEST_BPM:g} to {FASTEST_BPM:,.0f} quarters a minute, received {sorts.of(bpm)}"
        raise Flaw("tempo_invalid", said)
    return bpm


def meter(beats: int, unit: int) -> tuple[int, int]:
    """The same meter. Raises Flaw when it is none that can be written."""
    if not 1 <= beats <= MOST_BEATS or unit not in (1, 2, 4, 8, 16, 32, 64, FINEST_UNIT):
        said = f"expected a meter such as 3/4, its lower number one of 1, 2, 4 to {FINEST_UNIT}, received another"
        raise Flaw("meter_invalid", said)
    return beats, unit


def name(text: str) -> str:
    """A name fit to be shown."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())[:NAME_SIGNS]
