"""From what a client asks for to what is to be written: how long, in which meter and key, around what."""

from dataclasses import dataclass

import numpy as np

from shared.errors import Fault, JobFailed
from shared.kinds.generation import Constraints, GenerateParams, Infill, Melody, Prompt, read_key, read_meter
from shared.schema import Closed
from worker.composition.event_coding import EventCoding, Line
from worker.composition.events import EventPlan
from worker.composition.rules import Rules
from worker.composition.voice_coding import VoiceCoding
from worker.composition.voices import FREE, Plan
from worker.kinds.generation import data, given
from worker.kinds.generation.given import Given
from worker.symbolic import gridding
from worker.symbolic.grid import REST
from worker.symbolic.piece import TICKS, Bars, Key, Meter, Piece, Tempo

USUAL_METER = Meter(0, 4, 4)
# Of one piece: 2,048 bars of 4/4 in sixteenths. Each frame of each draft is kept until the piece is whole.
MOST_FRAMES = 32_768
# Below it the likeliest is taken every time anyway.
COLDEST = 0.01


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
    tempi: tuple[Tempo, ...]
    key: int | None
    pickup: int = 0
    # Of voices: where in the bar each frame is, the signatures, and what the score is that is given.
    position: np.ndarray | None = None
    bar: np.ndarray | None = None
    keys: tuple[Key, ...] = ()
    given: Given | None = None
    given_voices: frozenset[int] = frozenset()


def brief(coding: data.Coding, usual: Usual, params: GenerateParams, piece: Piece | None) -> Brief:
    """What is to be written. Raises JobFailed when it cannot be, with the bar where that shows."""
    if isinstance(coding, EventCoding):
        return _of_events(coding, usual, params, piece)
    _check_ranges(coding, params)
    if piece is None:
        return _free(coding, usual, params)
    if params.prompt is not None:
        return _continued(coding, usual, params, piece, params.prompt)
    return _around(coding, usual, params, piece)


def _free(coding: VoiceCoding, usual: Usual, params: GenerateParams) -> Brief:
    meter = _meter(usual, params)
    bar = given.frames_of(meter, coding.resolution)
    frames = _refuse_long(params.length_bars * bar)
    position, bars = np.arange(frames) % bar, np.full(frames, bar)
    codes = np.full((frames, coding.voices), FREE, np.int64)
    key = _key(params, None)
    plan = _plan(coding, params, position, bars, codes, key)
    return Brief(plan, (meter,), _tempi(usual, params, None), key, position=position, bar=bars)


def _meter(usual: Usual, params: GenerateParams) -> Meter:
    beats, unit = read_meter(params.meter) if params.meter else (usual.beats, usual.unit)
    return Meter(0, beats, unit)


def _tempi(usual: Usual, params: GenerateParams, piece: Piece | None) -> tuple[Tempo, ...]:
    if params.tempo is not None:
        return (Tempo(0, params.tempo),)
    return piece.tempi if piece is not None and piece.tempi else (Tempo(0, usual.bpm),)


def _key(params: GenerateParams, piece: Piece | None) -> int | None:
    if params.key is not None:
        return read_key(params.key)
    return None if piece is None else data.key_of(piece)


def _refuse_long(frames: int) -> int:
    if frames > MOST_FRAMES:
        said = f"A piece may have {MOST_FRAMES:,} frames, and this would have {frames:,}: ask for fewer bars."
        raise JobFailed(said, code="piece_too_long")
    return frames


def _plan(
    coding: VoiceCoding, params: GenerateParams, position: np.ndarray, bar: np.ndarray, codes: np.ndarray,
    key: int | None, fresh: np.ndarray | None = None,
) -> Plan:  # fmt: skip
    context = coding.describe(position, bar, key=key, ends_in=len(position))
    temperature = 0.0 if params.temperature < COLDEST else params.temperature
    return Plan(context, codes, _rules(coding, params), fresh, temperature, params.top_p)


def _check_ranges(coding: VoiceCoding, params: GenerateParams) -> None:
    if params.ranges is None:
        return
    if len(params.ranges) != coding.voices:
        raise _invalid("ranges", f"expected a range, or null, for each of the {coding.voices} voices of the model")
    if any(each is not None and (each[0] > coding.high or each[1] < coding.low) for each in params.ranges):
        said = f"expected ranges that share pitches with {coding.low} to {coding.high}, which the model knows"
        raise _invalid("ranges", said)


def _rules(coding: VoiceCoding, params: GenerateParams) -> Rules | None:
    if params.constraints is None and params.ranges is None:
        return None
    asked = params.constraints or Constraints(no_parallels=False, no_crossing=False, leap=None)
    whole = (coding.low, coding.high)
    low, high = np.array([each or whole for each in params.ranges or [None] * coding.voices]).T
    return Rules(low, high, parallels=asked.no_parallels, crossing=asked.no_crossing, leap=asked.leap)


def _ranges(coding: VoiceCoding, usual: Usual, params: GenerateParams) -> list[tuple[int, int]]:
    """Within which pitches each voice that is given must lie: as asked for, else as learned."""
    learned = usual.ranges or ((coding.low, coding.high),) * coding.voices
    asked = params.ranges or [None] * coding.voices
    both = [each or known for each, known in zip(asked, learned, strict=True)]
    return [(max(low, coding.low), min(high, coding.high)) for low, high in both]


def _continued(coding: VoiceCoding, usual: Usual, params: GenerateParams, piece: Piece, prompt: Prompt) -> Brief:
    """The first bars as they are, and more in the meter of the last of them."""
    score = given.lay(coding, _ranges(coding, usual, params), piece, range(coding.voices))
    grid, kept = score.grid, score.length
    if prompt.bars is not None:
        begins = np.nonzero(grid.position == 0)[0]
        kept = int(begins[prompt.bars]) if prompt.bars < len(begins) else len(grid)
    bar, position = int(grid.bar[kept - 1]), int(grid.position[kept - 1])
    # Up to the end of the bar that is begun, then whole bars.
    to_end = bar - 1 - position
    missing = to_end + (params.length_bars - score.bars_until(kept)) * bar
    if missing <= 0:
        raise _too_long(score.bars_until(kept), params)
    _refuse_long(kept + missing)
    positions = np.concatenate([grid.position[:kept], (position + 1 + np.arange(missing)) % bar])
    bars = np.concatenate([grid.bar[:kept], np.full(missing, bar)])
    codes = np.full((kept + missing, coding.voices), FREE, np.int64)
    codes[:kept] = coding.codes_of(grid.pitches[:kept], grid.attacks[:kept])
    key = _key(params, piece)
    plan = _plan(coding, params, positions, bars, codes, key)
    end = -(-kept * TICKS // coding.resolution)
    meters = tuple(each for each in piece.meters if each.tick < end) or (USUAL_METER,)
    return Brief(
        plan, meters, _tempi(usual, params, piece), key, piece.pickup, positions, bars,
        tuple(each for each in piece.keys if each.tick < end), score,
    )  # fmt: skip


def _around(coding: VoiceCoding, usual: Usual, params: GenerateParams, piece: Piece) -> Brief:
    """A melody with voices to be written, or a piece with bars to be written anew."""
    kept = _kept(coding, piece, params.melody)
    score = given.lay(coding, _ranges(coding, usual, params), piece, kept)
    grid = score.grid
    _refuse_long(len(grid))
    whole = coding.codes_of(grid.pitches, grid.attacks).astype(np.int64)
    codes, fresh = whole.copy(), None
    if params.infill is not None:
        is_free = _free_frames(coding, score, params.infill)
        codes[is_free] = FREE
        fresh = _fresh(score, is_free)
    else:
        codes[:, [voice for voice in range(coding.voices) if voice not in kept]] = FREE
    key = _key(params, piece)
    plan = _plan(coding, params, grid.position, grid.bar, codes, key, fresh)
    voices = frozenset(kept) if params.melody is not None else frozenset()
    return Brief(
        plan, piece.meters or (USUAL_METER,), _tempi(usual, params, piece), key, piece.pickup, grid.position, grid.bar,
        piece.keys, score, voices,
    )  # fmt: skip


def _kept(coding: VoiceCoding, piece: Piece, melody: Melody | None) -> list[int]:
    """The voices that stand as they are: of an infill all, but for the bars."""
    if melody is None:
        return list(range(coding.voices))
    count = gridding.count_voices(piece)
    if count is None or count > coding.voices:
        raise given.too_many(count, coding.voices)
    kept = list(range(count)) if melody.voices is None else sorted(melody.voices)
    if max(kept, default=0) >= coding.voices or (len(kept) != count and count != coding.voices):
        raise _invalid("melody/voices", f"expected {count} voices out of 0 to {coding.voices - 1}, the model's")
    if len(kept) == coding.voices:
        raise _invalid("melody", "expected a voice that is left to be written: name those that stand in melody.voices")
    return kept


def _free_frames(coding: VoiceCoding, score: Given, infill: Infill) -> np.ndarray:
    """What is to be written anew, (frames, voices)."""
    first_bar = 0 if score.piece.pickup else 1
    numbers = np.cumsum(score.grid.position == 0)
    last_bar = int(numbers[-1])
    voices = list(range(coding.voices)) if infill.voices is None else infill.voices
    if max(voices) >= coding.voices:
        raise _invalid("infill/voices", f"expected voices from 0 to {coding.voices - 1}")
    is_free = np.zeros((len(score.grid), coding.voices), bool)
    for first, last in infill.bars:
        if first < first_bar or last > last_bar:
            raise _invalid("infill/bars", f"expected bars from {first_bar} to {last_bar}, which the score has")
        is_free[np.ix_(np.nonzero((numbers >= first) & (numbers <= last))[0], np.array(voices))] = True
    return is_free


def _fresh(score: Given, is_free: np.ndarray) -> np.ndarray:
    """Where a free voice may not go on with what was given before: it ended there."""
    begins = is_free & ~np.concatenate([np.ones((1, is_free.shape[1]), bool), is_free[:-1]])
    before = np.concatenate([np.full((1, is_free.shape[1]), REST), score.grid.pitches[:-1]])
    goes_on = (score.grid.pitches == before) & ~score.grid.attacks
    fresh: np.ndarray = begins & ~goes_on
    return fresh


def _of_events(coding: EventCoding, usual: Usual, params: GenerateParams, piece: Piece | None) -> Brief:
    absent = ("melody", "infill", "constraints", "ranges", "programs")
    asked = [name for name in absent if getattr(params, name) is not None]
    if asked:
        said = f"expected no {asked[0]}: this model writes notes one after the other; train one of voices for it"
        raise _invalid(asked[0], said)
    meter = piece.meters[0] if piece is not None and piece.meters else _meter(usual, params)
    bar = given.frames_of(meter, coding.resolution)
    pickup = 0 if piece is None else piece.pickup * coding.resolution // TICKS
    units = _refuse_long(pickup + params.length_bars * bar)
    tokens, until = np.zeros((0, len(coding.tokens)), np.int32), 0
    if piece is not None and params.prompt is not None:
        tokens, until = _prompted(coding, params, piece, params.prompt, units)
    key = _key(params, piece)
    temperature = 0.0 if params.temperature < COLDEST else params.temperature
    plan = EventPlan(units, bar, tokens, until, key, temperature, params.top_p, pickup)
    return Brief(plan, (meter,), _tempi(usual, params, piece), key, 0 if piece is None else piece.pickup)


def _prompted(
    coding: EventCoding, params: GenerateParams, piece: Piece, prompt: Prompt, units: int
) -> tuple[np.ndarray, int]:
    """The tokens of a prompt, and the unit from which on more may be added."""
    line = Line.of(piece, resolution=coding.resolution)
    if not coding.knows(line):
        raise JobFailed("The prompt has instruments that the model has not learned.", code="instrument_unknown")
    at, until = np.cumsum(line.advance), -(-piece.length * coding.resolution // TICKS)
    starts = Bars(piece).starts[1:] if piece.pickup else Bars(piece).starts
    if prompt.bars is not None and prompt.bars < len(starts):
        until = int(starts[prompt.bars]) * coding.resolution // TICKS
    if until >= units:
        raise _too_long(len(starts), params)
    return coding.steps(line).tokens[at < until], until


def _too_long(bars: int, params: GenerateParams) -> JobFailed:
    said = f"The prompt has {bars} bars and the piece shall have {params.length_bars}: nothing is left to write"
    fault = Fault("expected more bars than the prompt has", pointer="/params/bars")
    return JobFailed(f"{said}. Ask for more bars, or give prompt.bars.", code="prompt_too_long", faults=[fault])


def _invalid(name: str, said: str) -> JobFailed:
    return JobFailed(f"{name}: {said}", code="invalid_params", faults=[Fault(said, pointer=f"/params/{name}")])
