"""What a listener asks of a recording that was decoded; its own module, so that who listens loads no codec."""

from typing import Protocol

import numpy as np


class Decoded(Protocol):
    """A recording at every rate that was announced."""

    def mono(self, rate_hz: int, /) -> np.ndarray:
        """The mix to mono, float32 (samples,), read-only."""
