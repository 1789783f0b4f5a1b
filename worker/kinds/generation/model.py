"""The network of a generation."""

from shared.kinds.generation import TrainParams
from worker.kinds.generation.data import Coding
from worker.sequences.spec import SequenceSpec


def describe(coding: Coding, params: TrainParams) -> SequenceSpec:
    """The network that is asked for, over the alphabets of what is learned."""
    return SequenceSpec(params.network, codes=coding.codes, tokens=coding.tokens, context=coding.context)
