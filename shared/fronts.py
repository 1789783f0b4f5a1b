"""The convolutional front of a network that hears: a closed list of blocks, and its size before anybody builds it.

It turns a stretch of log-mel spectrogram into some hundred numbers, which the dense layers take from there.
"""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.schema import Closed, Float, Int

BANDS = 96
# What a tagger hears at once, and so the grain in which a track is cut.
WINDOW_FRAMES, WINDOW_S = 187, 2.992
MOST_WINDOWS = 20

Share = Annotated[Float, Field(ge=0, le=0.5)]


class Augmentation(Closed):
    """How a training recording is changed anew each time it is met; 0 turns a change off."""

    # Masked bands and stretches of time (Park et al., "SpecAugment", Interspeech 2019): up to this share of the whole.
    frequency_mask: Share = 0.15
    time_mask: Share = 0.15
    # In tens of decibels, louder or quieter: 5 dB is about what the mastering of two records differs by.
    gain: Annotated[Float, Field(ge=0, le=1)] = 0.5
    # Rolled in time by up to this share of the segment, end to beginning: where a segment begins says nothing.
    shift: Annotated[Float, Field(ge=0, le=1)] = 1.0


class Block(Closed):
    """A 3x3 convolution, the maximum over `frames` x `bands`, batch normalisation, ReLU."""

    filters: Annotated[Int, Field(ge=1, le=512)]
    frames: Annotated[Int, Field(ge=1, le=8)]
    bands: Annotated[Int, Field(ge=1, le=8)]


class Front(Closed):
    """Normalisation of each band, the blocks, then mean and maximum over what is left of time and bands."""

    version: Literal[1] = 1
    frames: Annotated[Int, Field(ge=1, le=MOST_WINDOWS * WINDOW_FRAMES)]
    bands: Annotated[Int, Field(ge=1, le=BANDS)] = BANDS
    blocks: Annotated[tuple[Block, ...], Field(min_length=1, max_length=8)]
    augmentation: Augmentation | None = None

    @model_validator(mode="after")
    def _leaves_something(self) -> "Front":
        if min(self.shapes[-1]) < 1:
            raise ValueError("expected blocks that leave a frame and a band")
        return self

    @property
    def outputs(self) -> int:
        """How many numbers the dense layers are given."""
        return 2 * self.blocks[-1].filters

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Frames and bands before the first block and after each."""
        found = [(self.frames, self.bands)]
        for block in self.blocks:
            found.append((found[-1][0] // block.frames, found[-1][1] // block.bands))
        return found

    @property
    def parameters(self) -> int:
        """Kernels, four numbers a filter of batch normalisation, and mean and scale of each band."""
        channels = [1, *(block.filters for block in self.blocks)]
        kernels = sum(9 * before * after for before, after in pairwise(channels))
        return kernels + 4 * sum(channels[1:]) + 2 * self.bands

    @property
    def activations(self) -> int:
        """Numbers that one segment holds: as it is, changed, and normalised; of each block two before the maximum."""
        made = [
            block.filters * (2 * frames * bands + 3 * after[0] * after[1])
            for block, ((frames, bands), after) in zip(self.blocks, pairwise(self.shapes), strict=True)
        ]
        return 3 * self.frames * self.bands + sum(made)

    @property
    def multiplications(self) -> int:
        """For one segment, once forward."""
        channels = [1, *(block.filters for block in self.blocks)]
        return sum(
            9 * before * after * frames * bands
            for (before, after), (frames, bands) in zip(pairwise(channels), self.shapes, strict=False)
        )


# Pooled by three, the bands are one after four blocks: each filter of the last has seen all of them, and may know
# where a partial lies. Four frames at first, 64 ms, halve the time of a training against two.
BLOCKS = (
    Block(filters=16, frames=4, bands=3),
    Block(filters=32, frames=2, bands=3),
    Block(filters=64, frames=2, bands=3),
    Block(filters=128, frames=2, bands=3),
)


def usual(windows: int, augmentation: Augmentation | None) -> Front:
    """The front that a training of so many windows a segment gets."""
    return Front(frames=windows * WINDOW_FRAMES, blocks=BLOCKS, augmentation=augmentation)
