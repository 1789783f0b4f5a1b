"""Ticks as seconds, by the written tempi."""

from itertools import pairwise

from worker.symbolic.piece import TICKS, USUAL_BPM, Piece, Tempo


def seconds(piece: Piece, tick: int) -> float:
    """How long it takes from the beginning to a tick."""
    tempi = [Tempo(0, USUAL_BPM), *piece.tempi, Tempo(max(tick, 0), USUAL_BPM)]
    total = 0.0
    for here, following in pairwise(tempi):
        ticks = max(0, min(following.tick, tick) - min(here.tick, tick))
        total += ticks / TICKS * 60 / here.bpm
    return total
