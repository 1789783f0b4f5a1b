"""Writes pieces of voices with a network, a frame at a time, around what is given and within the rules.

Several drafts of each piece are written side by side (particles). A draft in which what is given was unlikely, or which
the rules have led astray, is given up for another that fits better: sequential Monte Carlo (Doucet, de Freitas and
Gordon, 2001), which draws from what the network holds for likely among all that fits. So the other voices are led to
where a voice that is given will be, and nothing is mended afterwards.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from worker.composition.choosing import likeliest, log_softmax, tempered
from worker.composition.rules import Rules, allowed, grammar
from worker.composition.voice_coding import HOLD, SILENCE, STRIKE, VoiceCoding
from worker.sequences.stepping import Kept, Stepper
from worker.symbolic.grid import REST

FREE = -1
# Drafts of a piece: one where nothing can go wrong, some where rules may lead astray, many to fit what is given.
DRAFTS_FREE, DRAFTS_RULED, DRAFTS_GIVEN = 1, 4, 48
# With fewer drafts of worth than this share, those without are given up.
WORTHY = 0.5
# Of what could be written, so much the rules must leave: else a voice would rather fall silent for good.
LEAST = 1e-3
# What drafts keep of the steps before; more pieces are written one batch after the other.
MOST_BYTES, MOST_ROWS = 256 * 1024 * 1024, 1024


@dataclass(frozen=True)
class Plan:
    """What is to be written: `context` (frames, numbers), `given` codes (frames, voices) or FREE."""

    context: np.ndarray
    given: np.ndarray
    rules: Rules | None
    # (frames, voices): where nothing goes on sounding, for what was given before has ended there.
    fresh: np.ndarray | None = None
    temperature: float = 1.0
    top_p: float = 1.0

    @property
    def drafts(self) -> int:
        """How many drafts of each piece."""
        if self.temperature == 0:
            return DRAFTS_FREE
        if ((self.given != FREE) & (self.given == FREE).any(axis=1, keepdims=True)).any() or self._goes_around:
            return DRAFTS_GIVEN
        return DRAFTS_FREE if self.rules is None else DRAFTS_RULED

    @property
    def _goes_around(self) -> bool:
        """Whether something is free before what is given."""
        free = (self.given == FREE).any(axis=1)
        return bool(free.any() and (self.given[int(free.argmax()) :] != FREE).any())


@dataclass(frozen=True)
class Composed:
    """A piece as codes (frames, voices); `likelihoods` (frames, voices) are the network's, in nats, of each token."""

    codes: np.ndarray
    likelihoods: np.ndarray
    # Frames in which rules were given up, and which.
    relaxed: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)


def compose(
    stepper: Stepper, coding: VoiceCoding, plan: Plan, *, seeds: Sequence[Sequence[int]], check: Callable[[], None]
) -> list[Composed]:
    """A piece for each seed; the same seeds together give the same pieces. `check` is called once a frame."""
    frames, voices = plan.given.shape
    # What the network keeps, twice while drafts are copied; and what was written.
    row_bytes = 2 * sum(array.nbytes for array in stepper.begin(1).arrays) + frames * (voices * 20 + 8)
    rows = max(1, min(MOST_ROWS, MOST_BYTES // row_bytes))
    drafts = min(plan.drafts, rows)
    at_once = max(1, rows // drafts)
    made: list[Composed] = []
    for first in range(0, len(seeds), at_once):
        made += _Desk(stepper, coding, plan, seeds[first : first + at_once], drafts).write(check)
    return made


class _Desk:
    """Some pieces under way; rows are the drafts of the first, then those of the second."""

    def __init__(
        self, stepper: Stepper, coding: VoiceCoding, plan: Plan, seeds: Sequence[Sequence[int]], drafts: int
    ) -> None:
        self.stepper, self.coding, self.plan, self.drafts = stepper, coding, plan, drafts
        self.pieces, self.rows = len(seeds), len(seeds) * drafts
        frames, voices = plan.given.shape
        # Drawn beforehand and piece by piece: what one is like does not depend on the others.
        randoms = [np.random.Generator(np.random.PCG64(list(seed))) for seed in seeds]
        self.draws = np.concatenate([each.random((frames, voices, drafts)) for each in randoms], axis=2)
        self.lots = np.array([each.random(frames + 1) for each in randoms])
        self.kept: Kept = stepper.begin(self.rows)
        self.codes = stepper.first_codes(self.rows)
        self.last = np.full((self.rows, voices), REST, np.int64)
        self.weights = np.zeros((self.pieces, drafts))
        self.written = np.zeros((frames, self.rows, voices), np.int32)
        self.likelihoods = np.zeros((frames, self.rows, voices))
        self.parents = np.zeros((frames, self.rows), np.int64)
        self.relaxed: list[list[tuple[int, tuple[str, ...]]]] = [[] for _ in seeds]

    def write(self, check: Callable[[], None]) -> list[Composed]:
        for frame in range(len(self.plan.given)):
            check()
            self._write(frame)
        return [self._finish(piece) for piece in range(self.pieces)]

    def _write(self, frame: int) -> None:
        hidden = self.stepper.step(
            self.kept, self.codes, np.broadcast_to(self.plan.context[frame], (self.rows, self.plan.context.shape[1]))
        )
        before = self.coding.pitches_of(self.codes).astype(np.int64)
        everything = np.arange(self.rows)
        codes, likelihoods, gains = self._choose(frame, hidden, before, everything, self.plan.rules)
        if self.plan.rules is not None:
            self._relax(frame, hidden, before, codes, likelihoods, gains)
        self.weights += gains.reshape(self.pieces, self.drafts)
        self.codes, self.written[frame], self.likelihoods[frame] = codes, codes, likelihoods
        now = self.coding.pitches_of(codes)
        self.last = np.where(now == REST, self.last, now)
        self.parents[frame] = everything
        if self.drafts > 1:
            self._select(frame)

    def _choose(
        self, frame: int, hidden: np.ndarray, before: np.ndarray, rows: np.ndarray, rules: Rules | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Codes and likelihoods (rows, voices) of a frame, and what it adds to the weight of each draft."""
        coding, given = self.coding, self.plan.given[frame]
        hidden, before, last = hidden[rows].copy(), before[rows], self.last[rows]
        voices = len(given)
        now = np.full((len(rows), voices), REST, np.int64)
        codes = np.zeros((len(rows), voices), np.int32)
        likelihoods, gains = np.zeros((len(rows), voices)), np.zeros(len(rows))
        # What is given is known to every voice that is written.
        known = given != FREE
        if known.any():
            now[:, known] = coding.pitches_of(given[known])
        for voice in range(voices):
            said = log_softmax(self.stepper.logits(hidden, voice).astype(np.float64))
            if given[voice] != FREE:
                tokens = self._tokens_given(given[voice], before[:, voice])
                gains += said[np.arange(len(rows)), tokens]
            else:
                legal = grammar(coding, voice, before, is_first=frame == 0)
                if self.plan.fresh is not None and self.plan.fresh[frame, voice]:
                    legal[:, HOLD] &= before[:, voice] == REST
                may = legal
                if rules is not None:
                    may = legal & allowed(rules, coding, voice, before, last, now, known)
                tokens, gained = self._draw(said, legal, may, self.draws[frame, voice, rows])
                gains += gained
                known = known | (np.arange(voices) == voice)
            likelihoods[:, voice] = said[np.arange(len(rows)), tokens]
            codes[:, voice] = self._codes_of(tokens, before[:, voice])
            now[:, voice] = coding.pitches_of(codes[:, voice])
            self.stepper.tell(hidden, voice, codes[:, voice])
        return codes, likelihoods, gains

    def _tokens_given(self, code: int, before: np.ndarray) -> np.ndarray:
        """How each draft writes what is given: a pitch that was not there before is struck."""
        coding = self.coding
        pitch = int(coding.pitches_of(np.array([code]))[0])
        if pitch == REST:
            return np.where(before == REST, HOLD if self.kept.count > 1 else SILENCE, SILENCE)
        is_struck = bool(coding.struck(np.array([code]))[0])
        return np.where((before == pitch) & (not is_struck), HOLD, STRIKE + pitch - coding.low)

    def _codes_of(self, tokens: np.ndarray, before: np.ndarray) -> np.ndarray:
        held = np.where(before == REST, 0, 1 + 2 * (before - self.coding.low))
        struck = 1 + 2 * (tokens - STRIKE) + 1
        return np.where(tokens == HOLD, held, np.where(tokens == SILENCE, 0, struck)).astype(np.int32)

    def _draw(
        self, said: np.ndarray, legal: np.ndarray, may: np.ndarray, draws: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """A token for each row out of those that it may take, and 0 for each; minus infinity where it can take none.

        That is where the rules leave of what is legal only what the network holds for no music. How much they leave
        otherwise does not count: drafts in which little moves break few rules, and would crowd out all others.
        """
        if self.plan.temperature == 0:
            masked = np.where(may, said, -np.inf)
            is_left = masked.max(axis=1) > np.log(LEAST)
            return masked.argmax(axis=1), np.where(is_left | (may == legal).all(axis=1), 0.0, -np.inf)
        # Masked before it is tempered: what cannot be written may be all that is likely, and leave nothing beside it.
        shares = tempered(np.where(legal, said, -np.inf), self.plan.temperature)
        whole = shares.sum(axis=1, keepdims=True)
        shares = np.where(may, shares, 0.0)
        is_left = shares.sum(axis=1, keepdims=True) >= LEAST * whole
        # Of what the rules allow, and not the other way around: what is likeliest may be what they forbid.
        sums = np.cumsum(likeliest(shares, self.plan.top_p), axis=1)
        total = np.where(is_left, sums[:, -1:], 0.0)
        tokens = (sums <= draws[:, None] * total).sum(axis=1)
        # Where nothing is left the draft is given up, and what it goes on with is no matter.
        tokens = np.where(total[:, 0] > 0, np.minimum(tokens, said.shape[1] - 1), HOLD)
        return tokens, np.where(total[:, 0] > 0, 0.0, -np.inf)

    def _relax(
        self, frame: int, hidden: np.ndarray, before: np.ndarray, codes: np.ndarray, likelihoods: np.ndarray,
        gains: np.ndarray,
    ) -> None:  # fmt: skip
        """Write the frame again, with fewer rules, in pieces of which no draft can go on. Changes the last three."""
        assert self.plan.rules is not None
        active = self.plan.rules.active(self.coding)
        for count in range(1, len(active) + 1):
            alive = np.isfinite(self.weights + gains.reshape(self.pieces, self.drafts)).any(axis=1)
            if alive.all():
                return
            rules = self.plan.rules.without(frozenset(active[:count]), self.coding)
            stuck = np.nonzero(~alive)[0]
            # All their drafts may go on: which one was worth most is not known any more.
            self.weights[stuck] = np.where(np.isfinite(self.weights[stuck]), self.weights[stuck], 0.0)
            rows = (stuck[:, None] * self.drafts + np.arange(self.drafts)).ravel()
            codes[rows], likelihoods[rows], gains[rows] = self._choose(frame, hidden, before, rows, rules)
            for piece in stuck:
                done = [each for each in self.relaxed[piece] if each[0] != frame]
                self.relaxed[piece] = [*done, (frame, active[:count])]

    def _select(self, frame: int) -> None:
        """Give up drafts without worth for copies of those with, piece by piece where that is due."""
        weights = self.weights - self.weights.max(axis=1, keepdims=True)
        shares = np.exp(weights)
        shares /= shares.sum(axis=1, keepdims=True)
        due = 1 / (shares**2).sum(axis=1) < WORTHY * self.drafts
        if not due.any():
            return
        parents = np.arange(self.rows).reshape(self.pieces, self.drafts)
        for piece in np.nonzero(due)[0]:
            # Systematic resampling (Kitagawa, 1996).
            marks = (np.arange(self.drafts) + self.lots[piece, frame]) / self.drafts
            taken = np.searchsorted(np.cumsum(shares[piece]), marks).clip(0, self.drafts - 1)
            parents[piece] = piece * self.drafts + taken
            self.weights[piece] = 0.0
        rows = parents.ravel()
        self.kept, self.codes, self.last = self.kept.take(rows), self.codes[rows], self.last[rows]
        self.parents[frame] = rows

    def _finish(self, piece: int) -> Composed:
        """The history of one draft, drawn by its worth."""
        weights = self.weights[piece] - self.weights[piece].max()
        sums = np.cumsum(np.exp(weights))
        row = piece * self.drafts + min(int((sums <= self.lots[piece, -1] * sums[-1]).sum()), self.drafts - 1)
        frames = len(self.written)
        codes, likelihoods = np.zeros_like(self.written[:, 0]), np.zeros_like(self.likelihoods[:, 0])
        for frame in reversed(range(frames)):
            row = self.parents[frame, row]
            codes[frame], likelihoods[frame] = self.written[frame, row], self.likelihoods[frame, row]
        return Composed(codes, likelihoods, self.relaxed[piece])
