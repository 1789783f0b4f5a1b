"""One row of the results: ours beside a peer's, as the median of ratios taken side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


class MeasurementBroken(RuntimeError):
    """What was measured is not what the row says: nothing may be written of it."""


@dataclass(frozen=True)
class Measurement:
    """A ratio and its bar (`≥ 5`, `≤ 1.05`); `spread` is the least and the greatest ratio of a round."""

    name: str
    ours: float
    peer: float
    unit: str
    ratio: float
    bar: str
    spread: tuple[float, float]
    note: str = ""

    @property
    def is_met(self) -> bool:
        sign, limit = self.bar.split()
        return self.ratio >= float(limit) if sign == "≥" else self.ratio <= float(limit)


def compare(
    name: str,
    rounds: Sequence[tuple[float, float]],
    *,
    unit: str,
    bar: str,
    is_speedup: bool = False,
    note: str = "",
) -> Measurement:
    """The row of (ours, peer) pairs; the ratio is ours to the peer's, or the peer's to ours for a speed-up in seconds.

    Each round's two figures were taken one after the other, so that a busy machine moves both.
    """
    if not rounds or not all(math.isfinite(value) and value > 0 for pair in rounds for value in pair):
        raise MeasurementBroken(f"{name}: expected positive numbers, received {list(rounds)}")
    ratios = [peer / ours if is_speedup else ours / peer for ours, peer in rounds]
    return Measurement(
        name=name,
        ours=median(ours for ours, _ in rounds),
        peer=median(peer for _, peer in rounds),
        unit=unit,
        ratio=median(ratios),
        bar=bar,
        spread=(min(ratios), max(ratios)),
        note=note,
    )
