"""Hears recordings for the worker: `python -m shared.confinement worker.audio.ear PARENT LENGTH`.

Behind its own terms, the first line on standard input tells those of its forks, each further one asks for what is to be
heard in one recording; each line on standard output answers one, in the order in which they are done. The hearing
itself happens in the forks.
"""

import functools
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from shared.containment.landlock import Reach
from worker.audio import fingerprint, loudness, mel, music, quality
from worker.audio.child import STDIN
from worker.audio.clip import Clip
from worker.audio.forks import READ_BYTES, Forks
from worker.audio.limits import AudioLimits, TrackBounds
from worker.audio.track import Stream, Track

# A stream has a `Meter(rate_hz=…, channels=…)`, a listener a function `hear(track, argument)`, and a RATE_HZ if that is
# the rate at which it hears.
STREAMS: dict[str, ModuleType] = {"quality": quality, "loudness": loudness}
LISTENERS: dict[str, ModuleType] = {"mel": mel, "music": music, "fingerprint": fingerprint}

Json = dict[str, Any]  # Any: JSON


def main() -> None:
    terms, asked = read_terms()
    limits, bounds = AudioLimits(**terms["limits"]), TrackBounds(**terms["bounds"])
    answer = functools.partial(hear, limits=limits)
    Forks(answer, reach, parallel=terms["parallel"], bounds=bounds, layers=terms["layers"]).serve(asked)


def read_terms() -> tuple[Json, bytes]:
    """The first line of standard input, and what came with it."""
    said = b""
    while b"\n" not in said:
        more = os.read(STDIN, READ_BYTES)
        if not more:
            raise SystemExit("expected a line with the terms")
        said += more
    line, _, rest = said.partition(b"\n")
    return json.loads(line), rest


def reach(request: Json) -> Reach:
    """The recording, and the folders of the files that are wanted of it."""
    want = request["want"]
    paths = [*want.get("wave", {}).values(), *([want["mel"]] if "mel" in want else [])]
    paths += [want["clip"]["path"]] if want.get("clip") else []
    return Reach((request["path"],), tuple({str(Path(path).parent) for path in paths}))


def hear(request: Json, *, limits: AudioLimits) -> Json:
    """All that is wanted of one recording, decoded once. Raises JobFailed with what is wrong with it."""
    want = dict(request["want"])
    waves, clip = want.pop("wave", {}), want.pop("clip", None)
    track = Track(Path(request["path"]), request["name"], limits, start_s=request["start_s"], end_s=request["end_s"])
    streams: dict[str, Stream] = {
        name: module.Meter(rate_hz=track.sound.rate_hz, channels=track.sound.channels)
        for name, module in STREAMS.items()
        if name in want
    }
    if clip is not None:
        streams["clip"] = Clip(track.sound, clip)
    listeners = {name: LISTENERS[name] for name in want if name not in STREAMS}
    rates = {module.RATE_HZ for module in listeners.values() if hasattr(module, "RATE_HZ")}
    track.play(streams.values(), rates | {int(rate) for rate in waves})
    heard = {**told(track), **{name: stream.done() for name, stream in streams.items()}}
    if track.sound.truncated and "quality" in heard:
        heard["quality"]["flags"].insert(0, "truncated")
    if waves:
        heard["wave"] = {rate: write(track.mono(int(rate)), path) for rate, path in waves.items()}
    return {**heard, **{name: module.hear(track, want[name]) for name, module in listeners.items()}}


def told(track: Track) -> Json:
    sound = track.sound
    return {
        "format": track.header.format,
        "rate_hz": sound.rate_hz,
        "channels": sound.channels,
        "duration_s": sound.duration_s,
        "truncated": sound.truncated,
    }


def write(mono: np.ndarray, path: str) -> int:
    """Raw little-endian float32; returns the number of samples."""
    mono.astype("<f4", copy=False).tofile(path)
    return len(mono)
