"""Tracks that are synthetic from the manifest to what was heard: two timbres, as embeddings and as spectrograms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.audio_params import EMBEDDING_NETWORKS
from shared.kinds import KINDS
from tests.worker import canonical
from worker import audio_training, kinds
from worker.kinds.protocol import Prepared
from worker.perception import Heard, Windows
from worker.recordings import Track

BANDS, WINDOW_FRAMES = 96, 187


def track(number: int, *, same_as: int | None = None) -> Track:
    key = f"track-{number}"
    return Track(number, key, f"{key}.wav", key, f"{number:064x}", None, None, 30.0, same_as, None, None)


def heard(track: Track, timbre: float, *, windows: int = 4, seed: int = 0) -> Heard:
    """Everything that may be wanted; `timbre` (0 or 1, or between) moves the embedding and the sounding bands."""
    random = np.random.default_rng([seed, track.number])
    tags = np.zeros((windows, 50), np.float32)
    said = {
        name: Windows(tags, (random.normal(size=(windows, 200)) * 0.5 + timbre).astype(np.float32))
        for name in EMBEDDING_NETWORKS
    }
    return Heard(track, windows=said, mel=mel(timbre, windows, random))


def mel(timbre: float, windows: int, random: np.random.Generator) -> np.ndarray:
    """A log-mel spectrogram of four partials that lie higher with the timbre, between noise, float16."""
    shown = np.abs(random.normal(size=(windows * WINDOW_FRAMES + 3, BANDS))) * 0.3
    first = int(10 + 20 * timbre + random.integers(0, 6))
    shown[:, first : first + 40 : 10] += 2.0
    return shown.astype(np.float16)


def silent(track: Track) -> Heard:
    return Heard(track, fault=("audio_corrupt", "there is nothing in it"))


def prepare(
    folder: Path,
    columns: Mapping[str, Any],
    found: Sequence[Heard],
    params: Mapping[str, Any],
    *,
    target: Sequence[str] = ("genre",),
    group: str | None = None,
    consent: str | None = None,
    kind: str = "classification",
) -> Prepared:
    """What the pipeline makes of a manifest and of what was heard of its tracks."""
    chosen = KINDS[kind].ACTIONS["train"].model_validate(dict(params))
    paths, profile = canonical.write(folder, columns, target=target, group=group)
    profile["roles"]["consent"] = consent
    tracks = [each.track for each in found]
    examples = audio_training.examples_of_tracks(paths, profile, chosen)
    usable = audio_training.usable(examples, tracks)
    gathered = audio_training.gather([found[each.number] for each in usable], chosen)
    return audio_training.prepare(kinds.find(kind), examples, tracks, gathered, chosen)


def genres(count: int) -> list[str]:
    return ["rock" if number % 2 else "pop" for number in range(count)]


def tracks(count: int, *, windows: int | Sequence[int] = 4) -> list[Heard]:
    """Tracks of which the odd ones sound like rock."""
    counts = [windows] * count if isinstance(windows, int) else windows
    return [heard(track(number), number % 2, windows=counts[number]) for number in range(count)]
