"""What a model that scores recordings can do; a kind makes one, or worker/audio_heads.py for all kinds that train."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from shared.audio_params import Precision
from worker.heard import Heard, Truth, Wants
from worker.predictions import Answer
from worker.reasons import Explained, Judge, Segment
from worker.recordings import Track
from worker.track_files import TrackFile

Json = dict[str, Any]
# The mean embedding of every track of the job, for whoever must look at all of them before the first row.
MeansOfAll = Callable[[Precision], Generator[tuple[Track, np.ndarray], None, None]]


@dataclass(frozen=True)
class Claim:
    """What a model says of a track and shall give reasons for: the label, its score, and that of every segment."""

    label: str
    score: float
    segments: Sequence[Segment]
    of: Explained = "log_odds"


class Listener(Protocol):
    """A model made ready to score recordings."""

    @property
    def wants(self) -> Wants:
        """What must be known of every track."""

    def prepared(self, means: MeansOfAll) -> "Listener":
        """Itself, once it has looked at all tracks together, where it has to."""

    def answer(self, heard: Sequence[Heard]) -> Answer:
        """Turn what was heard into predictions, a row a track; there may be none."""

    def files(self, heard: Heard) -> Iterator[TrackFile]:
        """The files of one track."""

    def compare(self, heard: Heard, truth: Truth) -> Mapping[str, float]:
        """Metrics of one track against what is true of it."""

    def claims(self, heard: Heard, labels: Sequence[str]) -> list[Claim]:
        """What to explain of a track: these labels, or its own first one. Raises JobFailed for an unknown label."""

    def judge(self, label: str) -> Judge:
        """The label's log-odds as a function of mel windows."""

    def summarise(self, totals: np.ndarray, rows: int) -> Json:
        """What the job's result says of all tracks together; `rows` may be 0."""
