"""From what a client asks for to what is to be written: how long, in which meter and key, around what."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shared.errors import Fault, JobFailed
from shared.kinds.generation import Constraints, GenerateParams, Infill, Melody, Prompt, read_key, read_meter
from shared.schema import Closed
from worker.composition.event_coding import EventCoding, Line
from worker.composition.events import EventPlan
from worker.composition.rules import Rules
from worker.composition.voice_coding import VoiceCoding
from worker.composition.voices import FREE, Plan
from worker.kinds.generation import data
from worker.symbolic import gridding
from worker.symbolic.grid import REST, Grid
from worker.symbolic.piece import TICKS, Bars, Meter, Piece

USUAL_METER = Meter(0, 4, 4)


class Usual(Closed):
    """What a training's pieces are like: taken where a client leaves it open. Ranges are those of each voice."""

    beats: int = 4
    unit: int = 4
    bpm: float = 100.0
    programs: tuple[int, ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Brief:
    """A plan, and what its pieces have besides notes. `given_voices` stand as they are throughout."""

    plan: Plan | EventPlan
    meters: tuple[Meter, ...]
    bpm: float
    key: int | None
    pickup: int = 0
    position: np.ndarray | None = None
    bar: np.ndarray | None = None
    given_voices: frozenset[int] = frozenset()
    # Of voices: as of the given piece, where there is one.
    given: Piece | None = None


def brief(coding: data.Coding, usual: Usual, params: GenerateParams, given: Piece | None) -> Brief:
    """What is to be written. Raises JobFailed when it cannot be, with the bar where that shows."""
    if isinstance(coding, EventCoding):
        return _of_events(coding, usual, params, given)
    if given is None:
        return _free(coding, usual, params)
    if params.prompt is not None:
        return _continued(coding, usual, params, given, params.prompt)
    return _around(coding, usual, params, given)


def _free(coding: VoiceCoding, usual: Usual, params: GenerateParams) -> Brief:
    meter = _meter(usual, params)
    bar = max(1, meter.bar_ticks * coding.resolution // TICKS)
    frames = params.length_bars * bar
    position, bars = np.arange(frames) % bar, np.full(frames, bar)
    key = _key(params, None)
    plan = _plan(coding, usual, params, position, bars, np.full((frames, coding.voices), FREE, np.int64), key)
    return Brief(plan, (meter,), params.tempo or usual.bpm, key, position=position, bar=bars)


def _meter(usual: Usual, params: GenerateParams) -> Meter:
    beats, unit = read_meter(params.meter) if params.meter else (usual.beats, usual.unit)
    return Meter(0, beats, unit)


def _key(params: GenerateParams, given: Piece | None) -> int | None:
    if params.key is not None:
        return read_key(params.key)
    return None if given is None else data.key_of(given)


def _plan(
    coding: VoiceCoding, usual: Usual, params: GenerateParams, position: np.ndarray, bar: np.ndarray,
    given: np.ndarray, key: int | None,
) -> Plan:  # fmt: skip
    context = coding.describe(position, bar, key=key, ends_in=len(position))
    return Plan(context, given, _rules(coding, params), params.temperature, params.top_p)


def _rules(coding: VoiceCoding, params: GenerateParams) -> Rules | None:
    if params.constraints is None and params.ranges is None:
        return None
    asked = params.constraints or Constraints(no_parallels=False, no_crossing=False, leap=None)
    low, high = np.full(coding.voices, coding.low), np.full(coding.voices, coding.high)
    if params.ranges is not None:
        if len(params.ranges) != coding.voices:
            raise _invalid("ranges", f"expected a range for each of the {coding.voices} voices of the model")
        low, high = np.array([each or (coding.low, coding.high) for each in params.ranges]).T
        if (low > coding.high).any() or (high < coding.low).any():
            raise _invalid(
                "ranges",
                f"expected ranges that share pitches with {coding.low} to {coding.high}, which the model knows",
            )
    return Rules(low, high, parallels=asked.no_parallels, crossing=asked.no_crossing, leap=asked.leap)


def _continued(coding: VoiceCoding, usual: Usual, params: GenerateParams, given: Piece, prompt: Prompt) -> Brief:
    grid = _grid(coding, usual, given, range(coding.voices), params)
    bars = Bars(given)
    kept = len(grid)
    if prompt.bars is not None and prompt.bars + bool(given.pickup) < len(bars):
        kept = int(bars.starts[prompt.bars + bool(given.pickup)]) * coding.resolution // TICKS
    bar = int(grid.bar[kept - 1])
    pickup = given.pickup * coding.resolution // TICKS
    frames = pickup + params.length_bars * bar
    if kept >= frames:
        raise _too_long(kept / bar, params)
    position = np.concatenate([grid.position[:kept], (grid.position[kept - 1] + 1 + np.arange(frames - kept)) % bar])
    lengths = np.concatenate([grid.bar[:kept], np.full(frames - kept, bar)])
    codes = np.full((frames, coding.voices), FREE, np.int64)
    codes[:kept] = coding.codes_of(grid.pitches[:kept], grid.attacks[:kept])
    key = _key(params, given)
    plan = _plan(coding, usual, params, position, lengths, codes, key)
    return _with_given(coding, usual, params, given, plan, position, lengths, key)


def _around(coding: VoiceCoding, usual: Usual, params: GenerateParams, given: Piece) -> Brief:
    """A melody with voices to be written, or a piece with bars to be written anew."""
    if params.melody is not None:
        grid, kept = _melody(coding, usual, given, params.melody, params)
        codes = np.full((len(grid), coding.voices), FREE, np.int64)
        codes[:, kept] = coding.codes_of(grid.pitches, grid.attacks)[:, kept]
        voices = frozenset(kept)
    else:
        assert params.infill is not None
        grid, voices = _grid(coding, usual, given, range(coding.voices), params), frozenset[int]()
        codes = coding.codes_of(grid.pitches, grid.attacks).astype(np.int64)
        _free_bars(coding, given, params.infill, codes)
    key = _key(params, given)
    plan = _plan(coding, usual, params, grid.position, grid.bar, codes, key)
    return replace(_with_given(coding, usual, params, given, plan, grid.position, grid.bar, key), given_voices=voices)


def _with_given(
    coding: VoiceCoding, usual: Usual, params: GenerateParams, given: Piece, plan: Plan, position: np.ndarray,
    bar: np.ndarray, key: int | None,
) -> Brief:  # fmt: skip
    bpm = params.tempo or (given.tempi[0].bpm if given.tempi else usual.bpm)
    meters = given.meters or (USUAL_METER,)
    return Brief(plan, meters, bpm, key, given.pickup, position, bar, given=given)


def _melody(
    coding: VoiceCoding, usual: Usual, given: Piece, melody: Melody, params: GenerateParams
) -> tuple[Grid, list[int]]:
    """The score on a grid of the model's voices, and which of these stand as they are."""
    count = gridding.count_voices(given)
    if count is None or count > coding.voices:
        raise _too_many(count, coding.voices, "melody")
    kept = list(range(count)) if melody.voices is None else sorted(melody.voices)
    if max(kept) >= coding.voices or (len(kept) != count and count != coding.voices):
        said = f"expected {count} voices out of 0 to {coding.voices - 1}, which are the model's"
        raise _invalid("melody/voices", said)
    if len(kept) == coding.voices:
        raise _invalid("melody", "expected a voice that is left to be written: name those that stand in melody.voices")
    if count == coding.voices:
        return _grid(coding, usual, given, kept, params), kept
    own = _grid(coding, usual, given, kept, params, voices=count)
    pitches = np.full((len(own), coding.voices), REST, np.int16)
    attacks = np.zeros((len(own), coding.voices), bool)
    pitches[:, kept], attacks[:, kept] = own.pitches, own.attacks
    return replace(own, pitches=pitches, attacks=attacks), kept


def _grid(
    coding: VoiceCoding, usual: Usual, given: Piece, kept: Sequence[int], params: GenerateParams, *,
    voices: int | None = None,
) -> Grid:  # fmt: skip
    """What is given, on the model's grid, once its kept voices are found within their ranges."""
    if not len(given.notes):
        raise JobFailed("The score has no notes.", code="score_empty")
    count = voices or coding.voices
    grid = gridding.to_grid(given, voices=count, resolution=coding.resolution)
    if grid is None:
        raise _too_many(None, coding.voices, "score")
    learned = usual.ranges or ((coding.low, coding.high),) * coding.voices
    ranges = [asked or known for asked, known in zip(params.ranges or learned, learned, strict=False)]
    for place, voice in enumerate(kept if voices else range(coding.voices)):
        if voice in kept:
            low, high = max(ranges[voice][0], coding.low), min(ranges[voice][1], coding.high)
            _refuse_outside(grid, given, place, voice, low, high)
    return grid


def _refuse_outside(grid: Grid, given: Piece, place: int, voice: int, low: int, high: int) -> None:
    pitches = grid.pitches[:, place].astype(np.int64)
    outside = np.nonzero((pitches != REST) & ((pitches < low) | (pitches > high)))[0]
    if not len(outside):
        return
    frame = int(outside[0])
    bar = bar_number(given, frame * TICKS // grid.resolution)
    has = int(pitches[frame])
    said = f"Voice {voice} is to stay within {low} to {high} and has {has} in bar {bar}"
    fault = Fault(f"expected {low} to {high}, received {has}", row=bar)
    raise JobFailed(f"{said}: transpose the score, or give it as another voice.", code="pitch_outside", faults=[fault])


def bar_number(piece: Piece, tick: int) -> int:
    """The bar of a tick as musicians count: the first whole one is 1, a pickup 0."""
    return int(Bars(piece).at(np.array([tick]))[0][0]) + (0 if piece.pickup else 1)


def _too_many(count: int | None, voices: int, what: str) -> JobFailed:
    has = "chords" if count is None else f"{count} voices"
    said = f"The {what} has {has}, and the model writes {voices} voices of one note at a time."
    return JobFailed(said, code="too_many_voices")


def _free_bars(coding: VoiceCoding, given: Piece, infill: Infill, codes: np.ndarray) -> None:
    """Set free what is to be written anew. Changes `codes`."""
    bars = Bars(given)
    offset = 0 if given.pickup else 1
    voices = list(range(coding.voices)) if infill.voices is None else infill.voices
    if max(voices) >= coding.voices:
        raise _invalid("infill/voices", f"expected voices from 0 to {coding.voices - 1}")
    for first, last in infill.bars:
        if first < offset or last - offset >= len(bars):
            said = f"expected bars from {offset} to {len(bars) - 1 + offset}, which the score has"
            raise _invalid("infill/bars", said)
        start = bars.starts[first - offset]
        end = bars.starts[last - offset] + bars.lengths[last - offset]
        frames = slice(int(start) * coding.resolution // TICKS, int(end) * coding.resolution // TICKS)
        codes[frames, voices] = FREE


def _of_events(coding: EventCoding, usual: Usual, params: GenerateParams, given: Piece | None) -> Brief:
    absent = [name for name in ("melody", "infill", "constraints", "ranges") if getattr(params, name) is not None]
    if absent:
        said = f"expected no {absent[0]}: this model writes notes one after the other; train one of voices for it"
        raise _invalid(absent[0], said)
    meter = given.meters[0] if given is not None and given.meters else _meter(usual, params)
    bar = max(1, meter.bar_ticks * coding.resolution // TICKS)
    units = params.length_bars * bar
    tokens, kept = np.zeros((0, len(coding.tokens)), np.int32), 0
    if given is not None:
        line = Line.of(given, resolution=coding.resolution)
        at = np.cumsum(line.advance)
        until = units if params.prompt is None or params.prompt.bars is None else params.prompt.bars * bar
        if at.max(initial=0) >= units or until > units:
            raise _too_long(float(at.max(initial=0)) / bar, params)
        tokens, kept = coding.steps(line).tokens[at < until], until
    key = _key(params, given)
    plan = EventPlan(units, bar, tokens, kept, key, params.temperature, params.top_p)
    bpm = params.tempo or (given.tempi[0].bpm if given is not None and given.tempi else usual.bpm)
    return Brief(plan, (meter,), bpm, key)


def _too_long(bars: float, params: GenerateParams) -> JobFailed:
    said = f"The prompt has {bars:.3g} bars and the piece shall have {params.length_bars}: nothing is left to write"
    fault = Fault("expected more bars than the prompt has", pointer="/params/bars")
    return JobFailed(f"{said}. Ask for more bars, or give prompt.bars.", code="prompt_too_long", faults=[fault])


def _invalid(name: str, said: str) -> JobFailed:
    return JobFailed(f"{name}: {said}", code="invalid_params", faults=[Fault(said, pointer=f"/params/{name}")])
