"""The reasons of a scoring: each chosen track is decoded again, and what spoke for its label is told and cut out."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Row

from shared import audio_params
from worker import hearing, reasons
from worker.audio.mel import BANDS
from worker.desk import Desk
from worker.heard import Heard
from worker.listener import Listener
from worker.recordings import Track
from worker.track_files import TrackFile, TrackFiles

Json = dict[str, Any]


def explain(
    desk: Desk,
    chosen: Sequence[Heard],
    uploads: Mapping[str, Row[Any]],
    listener: Listener,
    wanted: audio_params.Reason,
    files: TrackFiles,
) -> float:
    """Add a reason, and a clip of what spoke loudest, for every claim; returns the largest completeness error."""
    claims = {heard.track.number: listener.claims(heard, wanted.labels) for heard in chosen}
    tracks, worst, told = {heard.track.number: heard.track for heard in chosen}, 0.0, []
    mels = hearing.hear(desk, list(tracks.values()), uploads, lambda track: {"mel": str(_mel(desk, track.number))})
    for place, (track, answer) in enumerate(mels):
        desk.report_reasons(place, len(chosen))
        if answer.heard is None:
            continue
        mel = np.fromfile(_mel(desk, track.number), "<f4").reshape(-1, BANDS)
        for claim in claims[track.number]:
            judge = listener.judge(claim.label)
            found = []
            for segment in reasons.choose(claim.segments):
                found.append((segment, reasons.explain(judge, reasons.windows_of(mel, segment))))
                desk.check()
            said = reasons.tell(claim.label, claim.score, found)
            worst = max(worst, said["completeness_error"])
            content = json.dumps(said, ensure_ascii=False, indent=1).encode()
            name = _plain(claim.label)
            files.add(track.number, track.key, [TrackFile(f"reason.{name}.json", "application/json", content)])
            told.append((track.number, name, said["best"]))
        _mel(desk, track.number).unlink()
    if wanted.clips:
        _cut(desk, tracks, told, uploads, files)
    return worst


def _mel(desk: Desk, number: int) -> Path:
    return desk.scratch / f"reason-{number}.f32"


def _cut(
    desk: Desk,
    tracks: Mapping[int, Track],
    told: Sequence[tuple[int, str, Json]],
    uploads: Mapping[str, Row[Any]],
    files: TrackFiles,
) -> None:
    """The moments that spoke loudest, as sound."""
    path = desk.scratch / "clip.wav"
    for number, name, best in told:
        track = tracks[number]
        want: Json = {"clip": {"path": str(path), "start_s": best["start_s"], "end_s": best["end_s"]}}
        for _, answer in hearing.hear(desk, [track], uploads, partial(_same, want)):
            if answer.heard is not None:
                files.add(number, track.key, [TrackFile(f"reason.{name}.wav", "audio/wav", path.read_bytes())])
        path.unlink(missing_ok=True)


def _same(want: Json, _: Track) -> Json:
    return want


def _plain(label: str) -> str:
    return "".join(sign if sign.isalnum() else "_" for sign in label)[:40]
