"""Rules of part-writing as masks over what a voice may do next, so that they are kept while music is written."""

from dataclasses import dataclass, replace

import numpy as np

from worker.composition.voice_coding import HOLD, SILENCE, STRIKE, VoiceCoding
from worker.symbolic.grid import REST

# In the order in which they are given up where not all can be kept.
ORDER = ("leap", "parallels", "crossing", "ranges")
# Semitones between two voices that may not be kept in the same direction: unisons and octaves, fifths.
PERFECT = (0, 7)


@dataclass(frozen=True)
class Rules:
    """What holds for each voice; None and False switch a rule off.

    `low` and `high` (voices,) are the pitches that a voice may strike.
    """

    low: np.ndarray
    high: np.ndarray
    parallels: bool = True
    crossing: bool = True
    leap: int | None = None

    def active(self, coding: VoiceCoding) -> tuple[str, ...]:
        """The rules that are on, in the order in which they are given up."""
        is_narrow = bool((self.low > coding.low).any() or (self.high < coding.high).any())
        is_on = {
            "leap": self.leap is not None,
            "parallels": self.parallels,
            "crossing": self.crossing,
            "ranges": is_narrow,
        }
        return tuple(name for name in ORDER if is_on[name])

    def without(self, given_up: frozenset[str], coding: VoiceCoding) -> "Rules":
        """The same without those that are named."""
        return replace(
            self,
            leap=None if "leap" in given_up else self.leap,
            parallels=self.parallels and "parallels" not in given_up,
            crossing=self.crossing and "crossing" not in given_up,
            low=np.full_like(self.low, coding.low) if "ranges" in given_up else self.low,
            high=np.full_like(self.high, coding.high) if "ranges" in given_up else self.high,
        )


def allowed(
    rules: Rules,
    coding: VoiceCoding,
    voice: int,
    before: np.ndarray,
    last: np.ndarray,
    now: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """Which tokens a voice may take, (rows, tokens).

    `before` and `now` (rows, voices) are the pitches of the frame before and of this one, which counts where `known`
    (voices,); `last` (rows, voices) is the pitch that each voice struck last, REST before its first.
    """
    made = np.ones((len(before), coding.tokens[voice]), bool)
    pitches = np.arange(coding.low, coding.high + 1)
    strikes = made[:, STRIKE:]
    strikes &= (pitches >= rules.low[voice]) & (pitches <= rules.high[voice])
    if rules.leap is not None:
        far = np.abs(pitches - last[:, voice, None]) > rules.leap
        strikes &= ~far | (last[:, voice, None] == REST)
    for other in np.nonzero(known)[0]:
        if rules.crossing:
            _keep_apart(made, pitches, before[:, voice], now[:, other], is_above=bool(other < voice))
        if rules.parallels:
            strikes &= ~_are_parallel(pitches, before[:, voice], before[:, other], now[:, other])
    return made


def grammar(coding: VoiceCoding, voice: int, before: np.ndarray, *, is_first: bool) -> np.ndarray:
    """Which tokens can be written at all (rows, tokens): nothing holds in the first frame, silence falls once."""
    made = np.ones((len(before), coding.tokens[voice]), bool)
    if is_first:
        made[:, HOLD] = False
    else:
        made[:, SILENCE] = before[:, voice] != REST
    return made


def _keep_apart(made: np.ndarray, pitches: np.ndarray, own: np.ndarray, other: np.ndarray, *, is_above: bool) -> None:
    """Leave a voice what does not cross another; a silent one is crossed by nobody."""
    sounds = other != REST
    beyond = pitches > other[:, None] if is_above else pitches < other[:, None]
    made[:, STRIKE:] &= ~(beyond & sounds[:, None])
    crossed = own > other if is_above else own < other
    made[:, HOLD] &= ~(crossed & sounds & (own != REST))


def _are_parallel(pitches: np.ndarray, own: np.ndarray, other_before: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where striking a pitch would move in parallel with another voice, (rows, pitches)."""
    apart = np.abs(other_before - own) % 12
    is_perfect = np.isin(apart, PERFECT) & (own != REST) & (other_before != REST) & (other != REST)
    direction = np.sign(other - other_before)
    is_perfect &= direction != 0
    if not is_perfect.any():
        return np.zeros((len(own), len(pitches)), bool)
    follows = np.sign(pitches - own[:, None]) == direction[:, None]
    stays = np.abs(other[:, None] - pitches) % 12 == apart[:, None]
    return follows & stays & is_perfect[:, None]
