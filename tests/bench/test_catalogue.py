"""A catalogue lasts as long as is asked, and no clip is met twice."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench import catalogue, tagging
from bench.peers import librosa_mel
from worker.audio import mel

RATE = 8000


def write(path: Path, *, seconds: float, seed: int = 0) -> Path:
    soundfile.write(path, np.random.default_rng(seed).normal(size=int(seconds * RATE)) * 0.1, RATE)
    return path


def test_the_first_recordings_that_last_long_enough_are_taken(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{place}.wav", seconds=2) for place in range(4)]

    chosen = catalogue.choose(paths, seconds=3.5)

    assert chosen == paths[:2] and catalogue.seconds_of(chosen) == 4


def test_too_few_recordings_are_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected recordings of 5 s, received 4 s"):
        catalogue.choose([write(tmp_path / "a.wav", seconds=4)], seconds=5)


def test_clips_are_whole_and_each_another(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{place}.wav", seconds=70, seed=place) for place in range(2)]

    clips = list(tagging.cut(paths))

    assert len(set(clips)) == len(clips) == 4
    assert [soundfile.info(io.BytesIO(clip)).duration for clip in clips] == [tagging.CLIP_LENGTH_S] * 4


def test_the_peer_computes_what_we_do() -> None:
    noise = np.random.default_rng(0).normal(size=2 * mel.RATE_HZ).astype(np.float32) * 0.1

    ours, theirs = mel.log_mel(noise), librosa_mel.log_mel(noise)

    assert ours.shape == theirs.shape and np.abs(ours - theirs).max() < 5e-6
