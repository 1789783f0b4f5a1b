"""Hears recordings for the worker: `python -m worker.confinement worker.audio.ear BOUNDS PARENT`.

The first line on standard input tells the terms, each further one asks for what is to be heard in one recording; each
line on standard output answers one, in the order in which they are done. The hearing itself happens in forks.
"""

import functools
import importlib
import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from shared.errors import JobFailed
from worker.audio.child import STDIN
from worker.audio.clip import Clip
from worker.audio.forks import READ_BYTES, Forks
from worker.audio.limits import AudioLimits, TrackBounds
from worker.audio.track import Track

# By name, and imported before the first fork. A stream has a `Meter(rate_hz=…, channels=…)`, a listener a function
# `hear(track, argument)`, and a RATE_HZ if that is the rate at which it hears.
STREAMS = {"quality": "worker.audio.quality", "loudness": "worker.audio.loudness"}
LISTENERS = {
    "mel": "worker.audio.mel",
    "music": "worker.audio.music",
    "fingerprint": "worker.audio.fingerprint",
}

Json = dict[str, Any]  # Any: JSON


def main() -> None:
    terms, rest = read_terms()
    limits = AudioLimits(**terms["limits"])
    for path in [*STREAMS.values(), *LISTENERS.values()]:
        if importlib.util.find_spec(path) is not None:
            importlib.import_module(path)
    bounds = TrackBounds(**terms["bounds"])
    Forks(functools.partial(hear, limits=limits), parallel=terms["parallel"], bounds=bounds).serve(rest)


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


def hear(request: Json, *, limits: AudioLimits) -> Json:
    """All that is wanted of one recording, decoded once. Raises JobFailed with what is wrong with it."""
    want = dict(request["want"])
    waves, clip = want.pop("wave", {}), want.pop("clip", None)
    modules = {name: module_of(name) for name in want}
    track = Track(Path(request["path"]), request["name"], limits, start_s=request["start_s"], end_s=request["end_s"])
    streams = {
        name: modules[name].Meter(rate_hz=track.sound.rate_hz, channels=track.sound.channels)
        for name in want
        if name in STREAMS
    }
    if clip is not None:
        streams["clip"] = Clip(track.sound, clip)
    listeners = {name: module for name, module in modules.items() if name not in STREAMS}
    rates = {module.RATE_HZ for module in listeners.values() if hasattr(module, "RATE_HZ")}
    track.play(streams.values(), rates | {int(rate) for rate in waves})
    heard = {**told(track), **{name: stream.done() for name, stream in streams.items()}}
    if track.sound.truncated and "quality" in heard:
        heard["quality"]["flags"].insert(0, "truncated")
    if waves:
        heard["wave"] = {rate: write(track.mono(int(rate)), path) for rate, path in waves.items()}
    return {**heard, **{name: module.hear(track, want[name]) for name, module in listeners.items()}}


def module_of(name: str) -> ModuleType:
    path = {**STREAMS, **LISTENERS}.get(name)
    if path is None or importlib.util.find_spec(path) is None:
        said = f"expected something that this worker can listen for, received {name!r}: update the worker"
        raise JobFailed(said, code="listener_missing")
    return importlib.import_module(path)


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
