"""Writes pieces of notes with a network, a note at a time; what is given first stands as it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from worker.composition.choosing import likeliest, log_softmax, tempered
from worker.composition.event_coding import ADVANCE, FIELDS, LONGEST_ADVANCE, NONE, EventCoding
from worker.sequences.stepping import Stepper

# A quarter of the densest music has some dozens of notes; a network that strikes without end is stopped here.
MOST_NOTES_A_QUARTER = 64
# What the network keeps of the notes before; more pieces are written one batch after the other.
MOST_BYTES, MOST_ROWS = 256 * 1024 * 1024, 1024


@dataclass(frozen=True)
class EventPlan:
    """What is to be written: `units` in all, in bars of `bar` units; `given` tokens (steps, fields) come first.

    Before `given_units` nothing is added to them.
    """

    units: int
    bar: int
    given: np.ndarray
    given_units: int
    key: int | None
    temperature: float
    top_p: float
    # Units of an incomplete first bar.
    pickup: int = 0


@dataclass(frozen=True)
class EventPiece:
    """Tokens (steps, fields), and the network's likelihood of each in nats."""

    tokens: np.ndarray
    likelihoods: np.ndarray


def compose(
    stepper: Stepper, coding: EventCoding, plan: EventPlan, *, seeds: Sequence[Sequence[int]], check: Callable[[], None]
) -> list[EventPiece]:
    """A piece for each seed. `check` is called once a note."""
    row_bytes = max(1, sum(array.nbytes for array in stepper.begin(1).arrays))
    at_once = max(1, min(MOST_ROWS, MOST_BYTES // row_bytes))
    batches = [seeds[first : first + at_once] for first in range(0, len(seeds), at_once)]
    return [piece for batch in batches for piece in _write(stepper, coding, plan, seeds=batch, check=check)]


def _write(
    stepper: Stepper, coding: EventCoding, plan: EventPlan, *, seeds: Sequence[Sequence[int]], check: Callable[[], None]
) -> list[EventPiece]:
    randoms = [np.random.Generator(np.random.PCG64(list(seed))) for seed in seeds]
    rows, most = len(seeds), MOST_NOTES_A_QUARTER * max(1, plan.units // coding.resolution)
    kept, codes = stepper.begin(rows), stepper.first_codes(rows)
    at = np.zeros(rows, np.int64)
    written, likelihoods, going = [], [], []
    for step in range(len(plan.given) + most):
        check()
        is_going = at < plan.units
        if step >= len(plan.given) and not is_going.any():
            break
        position = (at - plan.pickup) % plan.bar
        context = coding.describe(position, np.full(rows, plan.bar), key=plan.key, left=np.maximum(plan.units - at, 0))
        hidden = stepper.step(kept, codes, context)
        forced = plan.given[step] if step < len(plan.given) else None
        draws = np.array([random.random(FIELDS) for random in randoms])
        codes, said = _choose(stepper, coding, plan, hidden, forced, draws, missing=plan.given_units - at)
        advance = codes[:, ADVANCE]
        at += np.where(advance == coding.wait, LONGEST_ADVANCE * coding.resolution, advance)
        written.append(codes)
        likelihoods.append(said)
        # What would begin after the end is the end.
        going.append(is_going & (at < plan.units))
    tokens, said, kept_steps = np.array(written), np.array(likelihoods), np.array(going)
    return [EventPiece(tokens[kept_steps[:, row], row], said[kept_steps[:, row], row]) for row in range(rows)]


def _choose(
    stepper: Stepper, coding: EventCoding, plan: EventPlan, hidden: np.ndarray, forced: np.ndarray | None,
    draws: np.ndarray, *, missing: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Tokens (rows, fields) of a step, and their likelihoods; a free one is `missing` units further on at least."""
    rows = np.arange(len(hidden))
    tokens, likelihoods = np.zeros((len(rows), FIELDS), np.int32), np.zeros((len(rows), FIELDS))
    for field in range(FIELDS):
        said = log_softmax(stepper.logits(hidden, field).astype(np.float64))
        if forced is not None:
            tokens[:, field] = forced[field]
        else:
            may = np.ones(said.shape, bool)
            if field == ADVANCE:
                may[:, :-1] = np.arange(coding.wait) >= missing[:, None]
            else:
                # A step that waits has nothing else, and any other has all of it.
                may[:] = (np.arange(said.shape[1]) == NONE) == (tokens[:, ADVANCE] == coding.wait)[:, None]
            tokens[:, field] = _draw(said, may, draws[:, field], plan)
        likelihoods[:, field] = said[rows, tokens[:, field]]
        stepper.tell(hidden, field, tokens[:, field])
    return tokens, likelihoods


def _draw(said: np.ndarray, may: np.ndarray, draws: np.ndarray, plan: EventPlan) -> np.ndarray:
    if plan.temperature == 0:
        return np.where(may, said, -np.inf).argmax(axis=1)
    shares = likeliest(tempered(np.where(may, said, -np.inf), plan.temperature), plan.top_p)
    sums = np.cumsum(shares, axis=1)
    return np.minimum((sums <= draws[:, None] * sums[:, -1:]).sum(axis=1), said.shape[1] - 1)
