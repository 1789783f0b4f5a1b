"""What a training takes that shall be differentially private: how much of any one row, group or listener is learned."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.schema import Closed, Float, Int

Unit = Literal["row", "group"]
Named = Annotated[str, Field(min_length=1, max_length=255)]
# Below it nothing can be learned from a table that fits here, above it nothing is promised.
LEAST_EPSILON, MOST_EPSILON = 0.01, 1000.0
# The accountant's own arithmetic is exact between them.
LEAST_NOISE, MOST_NOISE = 0.1, 1000.0
# Beneath it the tails that the accountant cuts off are larger, and nothing is below any epsilon.
LEAST_DELTA = 1e-12
# What is clipped and noised are float32: less would be nought, and so would the noise.
LEAST_CLIP = 1e-6
# In float32, too, a number less the middle of such bounds, divided by half their range, is a number.
MOST_BOUND, LEAST_RANGE = 1e30, 1e-30
MOST_ROWS = 1024


def _rising(bounds: list[float]) -> list[float]:
    if bounds[0] >= bounds[1]:
        raise ValueError(f"expected the lower bound before the higher one, received {bounds}")
    if bounds[1] - bounds[0] < LEAST_RANGE:
        raise ValueError(f"expected bounds that lie {LEAST_RANGE:g} apart, received {bounds}")
    return bounds


Bound = Annotated[Float, Field(ge=-MOST_BOUND, le=MOST_BOUND)]
Bounds = Annotated[list[Bound], Field(min_length=2, max_length=2), AfterValidator(_rising)]
Words = Annotated[list[Annotated[str, Field(max_length=255)]], Field(max_length=1000)]


class PrivateSteps(Closed):
    """Differentially private steps (Abadi et al. 2016): how much all of them may tell of any one unit."""

    epsilon: Annotated[Float, Field(ge=LEAST_EPSILON, le=MOST_EPSILON)] | None = None
    noise_multiplier: Annotated[Float, Field(ge=LEAST_NOISE, le=MOST_NOISE)] | None = None
    # No unit moves the sum of a step by more than this.
    clip_norm: Annotated[Float, Field(ge=LEAST_CLIP, le=1e6)] = 1.0
    # One tenth of one over the number of units, where it is left out.
    delta: Annotated[Float, Field(ge=LEAST_DELTA, lt=1)] | None = None
    # Noise that anybody can draw again hides nothing: with it a training can be reproduced, and has no epsilon.
    noise_seed: Annotated[Int, Field(ge=0, lt=2**63)] | None = None

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if (self.epsilon is None) == (self.noise_multiplier is None):
            received = "neither" if self.epsilon is None else "both"
            raise ValueError(f"expected either epsilon or noise_multiplier, received {received}")
        return self


class Privacy(PrivateSteps):
    """Of rows, and what is public of the data, so that nothing else is.

    What stands here is read by whoever reads the version: take it from what is known of the world, not from the rows.
    """

    # Left out: a group where something groups the rows, else a row, or a recording.
    unit: Unit | None = None
    # Of a group, or a recording, no more examples than these are learned from, evenly chosen.
    examples_per_unit: Annotated[Int, Field(ge=1, le=MOST_ROWS)] = 64
    # Of numbers, a target among them: the range that they are known to have. What lies outside is put to its edge.
    bounds: Annotated[dict[Named, Bounds], Field(max_length=4096)] = Field(default_factory=dict)
    # Of words: those that there may be.
    categories: Annotated[dict[Named, Words], Field(max_length=4096)] = Field(default_factory=dict)
    # Of a target of one column: every label that there may be.
    labels: Annotated[Words, Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _names_each_label_once(self) -> "Privacy":
        if self.labels is not None and len(set(self.labels)) < len(self.labels):
            raise ValueError("expected each label once")
        return self
