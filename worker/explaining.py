"""The reasons of a scoring: each chosen track is decoded again, and what spoke for its label is told and cut out."""

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Row

from shared import audio_params
from worker import hearing, reasons
from worker.audio.mel import BANDS
from worker.desk import Desk
from worker.listener import Claim, Listener
from worker.reasons import Judge
from worker.recordings import Track
from worker.track_files import TrackFile

Json = dict[str, Any]
# Takes a track's number, its key, and files about it.
AddFiles = Callable[[int, str, Iterable[TrackFile]], None]


@dataclass(frozen=True)
class Chosen:
    """A track and what is claimed of it."""

    track: Track
    claims: Sequence[Claim]


@dataclass(frozen=True)
class _Moment:
    """What spoke loudest for a claim: seconds from the beginning of the track."""

    track: Track
    name: str
    start_s: float
    end_s: float


def explain(
    desk: Desk,
    chosen: Sequence[Chosen],
    uploads: Mapping[str, Row[Any]],
    listener: Listener,
    wanted: audio_params.Reason,
    add: AddFiles,
) -> float:
    """Add a reason, and a clip of what spoke loudest, for every claim; returns the largest completeness error."""
    judge = cache(listener.judge)
    claims = {each.track.number: each.claims for each in chosen}
    loudest, worst = list[_Moment](), 0.0
    with closing(_mels(desk, [each.track for each in chosen], uploads)) as mels:
        for track, mel in mels:
            for name, claim in _named(claims[track.number]):
                said = _reason(desk, judge(claim.label), claim, mel)
                worst = max(worst, said["completeness_error"])
                content = json.dumps(said, ensure_ascii=False, indent=1).encode()
                add(track.number, track.key, [TrackFile(f"reason.{name}.json", "application/json", content)])
                loudest.append(_Moment(track, name, said["best"]["start_s"], said["best"]["end_s"]))
    if wanted.clips:
        _cut(desk, loudest, uploads, add)
    return worst


def _mels(
    desk: Desk, tracks: Sequence[Track], uploads: Mapping[str, Row[Any]]
) -> Generator[tuple[Track, np.ndarray], None, None]:
    """The spectrograms of the tracks that can still be decoded, float32 (frames, bands)."""

    def path(track: Track) -> Path:
        return desk.scratch / f"reason-{track.number}.f32"

    with closing(hearing.hear(desk, tracks, uploads, lambda track: {"mel": str(path(track))})) as answers:
        for track, answer in answers:
            if answer.heard is not None:
                yield track, np.fromfile(path(track), "<f4").reshape(-1, BANDS)
            path(track).unlink(missing_ok=True)


def _reason(desk: Desk, judge: Judge, claim: Claim, mel: np.ndarray) -> Json:
    found = []
    for segment in reasons.choose(claim.segments):
        found.append((segment, reasons.explain(judge, reasons.windows_of(mel, segment))))
        desk.check()
    return reasons.tell(claim.label, claim.score, found, of=claim.of, frames=len(mel))


def _cut(desk: Desk, loudest: Sequence[_Moment], uploads: Mapping[str, Row[Any]], add: AddFiles) -> None:
    """The moments that spoke loudest, as sound: each is decoded as an excerpt of its file."""
    excerpts = [
        replace(
            moment.track,
            number=place,
            start_s=(moment.track.start_s or 0.0) + moment.start_s,
            end_s=(moment.track.start_s or 0.0) + moment.end_s,
        )
        for place, moment in enumerate(loudest)
    ]

    def want(excerpt: Track) -> Json:
        path = str(desk.scratch / f"clip-{excerpt.number}.wav")
        return {"clip": {"path": path, "start_s": excerpt.start_s, "end_s": excerpt.end_s}}

    with closing(hearing.hear(desk, excerpts, uploads, want)) as answers:
        for excerpt, answer in answers:
            moment, path = loudest[excerpt.number], desk.scratch / f"clip-{excerpt.number}.wav"
            if answer.heard is not None:
                clip = TrackFile(f"reason.{moment.name}.wav", "audio/wav", path.read_bytes())
                add(moment.track.number, moment.track.key, [clip])
            path.unlink(missing_ok=True)


def _named(claims: Sequence[Claim]) -> Iterator[tuple[str, Claim]]:
    """Each claim with a name for its files; two labels may be alike in all that a name can hold."""
    names = [_plain(claim.label) for claim in claims]
    for place, (name, claim) in enumerate(zip(names, claims, strict=True)):
        yield name if names.count(name) == 1 else f"{name}-{place + 1}", claim


def _plain(label: str) -> str:
    return "".join(sign if sign.isalnum() else "_" for sign in label)[:40]
