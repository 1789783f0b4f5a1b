"""Segments of soundtracks as numbers: what two taggers make of them, and plain statistics of their spectrogram."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from bench import recordings
from shared.audio_params import EMBEDDING_NETWORKS
from worker.audio.decoding import downmix
from worker.audio.mel import RATE_HZ, log_mel
from worker.pretrained import musicnn, threads

# Three windows of the taggers.
WINDOWS, SEGMENT_S = 3, 9.0
# What a training learns of a track if nothing is said, and what is asked of one.
MOST, ASKED = 20, 4


@dataclass(frozen=True)
class Piece:
    """A track, by its game, and its segments: embedding (segments, 3, 400), statistics (segments, 384), float32."""

    game: str
    embedding: np.ndarray
    statistics: np.ndarray

    @property
    def asked(self) -> "Piece":
        """Up to four of the segments, evenly over the track."""
        places = even(len(self.embedding))
        return Piece(self.game, self.embedding[places], self.statistics[places])


def even(segments: int) -> list[int]:
    """Places of the segments that are asked about."""
    count = min(ASKED, segments)
    return [place * segments // count for place in range(count)]


def hear_all() -> list[Piece]:
    """Up to twenty segments of each track of the seven soundtracks."""
    threads.keep_products_whole()
    games = [(each.name, path) for each in recordings.SOUNDTRACKS for path in recordings.soundtrack(each.name)]
    with ThreadPoolExecutor(musicnn.THREADS) as pool:
        return [piece for piece in pool.map(lambda each: _hear(*each), games) if piece is not None]


def _hear(game: str, path: Path) -> Piece | None:
    """Nothing of a track that is shorter than a segment."""
    spectrograms = list(_spectrograms(path))
    if not spectrograms:
        return None
    windows = np.concatenate([musicnn.windows(each)[:WINDOWS] for each in spectrograms])
    said = np.concatenate([musicnn.load(name).run(windows)[1] for name in EMBEDDING_NETWORKS], axis=1)
    embedding = said.reshape(len(spectrograms), WINDOWS, -1)
    return Piece(game, embedding, np.stack([statistics(each) for each in spectrograms]))


def _spectrograms(path: Path) -> Iterator[np.ndarray]:
    with soundfile.SoundFile(path) as file:
        rate_hz = file.samplerate
        for start_s in starts(file.frames / rate_hz):
            file.seek(round(start_s * rate_hz))
            sound = downmix(file.read(round(SEGMENT_S * rate_hz), dtype="float32", always_2d=True))
            yield log_mel(soxr.resample(sound, rate_hz, RATE_HZ))


def starts(lasting_s: float) -> Sequence[float]:
    """Seconds at which segments begin: each with its share of the track, so that no two overlap.

    Where they lie matters: without the beginnings of tracks, often faded in, all who are compared do better.
    """
    count = min(MOST, int(lasting_s / SEGMENT_S))
    return [place * lasting_s / count for place in range(count)]


def statistics(mel: np.ndarray) -> np.ndarray:
    """Mean, deviation and maximum of each band, and the deviation of its changes; (frames, 96) to (384,)."""
    return np.concatenate([mel.mean(axis=0), mel.std(axis=0), mel.max(axis=0), np.diff(mel, axis=0).std(axis=0)])
