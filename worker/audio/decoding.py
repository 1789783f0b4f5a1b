"""Decodes a recording once, in blocks, and tells how it ended; mixes to mono and resamples on the way."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from shared.errors import JobFailed
from worker.audio.headers import Header, corrupt, refused
from worker.audio.limits import AudioLimits

# A second and a half at 44.1 kHz: calls cost nothing any more, and a block stays in the cache of the processor.
BLOCK = 65_536
OPENED = {
    "wav": (("WAV", "WAVEX"), ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    "flac": (("FLAC",), ("PCM_S8", "PCM_16", "PCM_24")),
    "mp3": (("MP3",), ("MPEG_LAYER_III",)),
    "ogg-vorbis": (("OGG",), ("VORBIS",)),
    "ogg-opus": (("OGG",), ("OPUS",)),
}
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
# Where the channels of WAV stand in Ogg, whose order libsndfile leaves as it is (Vorbis I, 4.3.9; RFC 7845, 5.1.1.2).
XIPH = {3: (0, 2, 1), 5: (0, 2, 1, 3, 4), 6: (0, 2, 1, 5, 3, 4), 7: (0, 2, 1, 6, 5, 3, 4), 8: (0, 2, 1, 7, 5, 6, 3, 4)}
# Elsewhere a seek lands near the frame, and what a frame borrows from those before it is missing.
SEEKS_EXACTLY = ("wav", "flac")
# 120 dB above full scale: squares and their sums stay far within float32.
LOUDEST = 1e6


class Forward(soundfile.SoundFile):
    """Reads on without seeking: soundfile seeks after each block, which an MP3 decoder answers with a crackle.

    It also asks for no more than the frames that a header claims, and those are not to be believed.
    """

    def seekable(self) -> bool:
        return False


class Sound:
    """An open recording, or an excerpt of it. Once `blocks` is through, `frames` and `truncated` are known."""

    def __init__(
        self,
        path: Path,
        header: Header,
        limits: AudioLimits,
        *,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> None:
        self._file, self._header, self._limits = _open(path, header), header, limits
        self.rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.first = round((start_s or 0.0) * self.rate_hz)
        self._end = None if end_s is None else round(end_s * self.rate_hz)
        self._order = XIPH.get(self.channels) if header.format.startswith("ogg") else None
        self.frames = 0
        self.truncated = False

    @property
    def duration_s(self) -> float:
        return self.frames / self.rate_hz

    def blocks(self) -> Iterator[np.ndarray]:
        """float32 (up to 65,536 frames, channels as in WAV), in order; what is heard of an excerpt only.

        Raises JobFailed: audio_too_long, audio_not_finite, audio_corrupt, excerpt_beyond_end, excerpt_invalid.
        """
        with self._file:
            self._check_excerpt()
            at = self._seek()
            for block in self._read(at):
                kept = block[max(0, self.first - at) :]
                at += len(block)
                if len(kept):
                    self.frames += len(kept)
                    yield kept if self._order is None else np.take(kept, self._order, axis=1)
        self._judge()

    def _check_excerpt(self) -> None:
        if self._end is not None and self._end <= self.first:
            said = f"expected an excerpt of a sample or more, received one that ends at sample {self._end:,}"
            raise JobFailed(f"{said} and starts at {self.first:,}: choose a later end", code="excerpt_invalid")

    def _seek(self) -> int:
        """Go to the first frame, or leave the frames before it to be skipped; returns the present place."""
        frames = self._header.frames
        if self.first == 0 or self._header.format not in SEEKS_EXACTLY or frames is None:
            return 0
        if self.first >= frames:
            raise self._beyond_end()
        try:
            return int(self._file.seek(self.first))
        except soundfile.SoundFileError as cause:
            raise self._beyond_end() from cause

    def _read(self, at: int) -> Iterator[np.ndarray]:
        """Blocks from a place on, each held against the limits."""
        longest = self._limits.seconds * self.rate_hz
        while (wanted := self._wanted(at)) > 0:
            block, is_damaged = self._next(wanted)
            at += len(block)
            if at > longest:
                said = f"expected at most {self._limits.seconds:g} seconds, received more: cut the recording"
                raise JobFailed(said, code="audio_too_long")
            _check_finite(block)
            yield block
            if is_damaged or len(block) < wanted:
                self.truncated = is_damaged or self._ends_early(at)
                return

    def _wanted(self, at: int) -> int:
        # What follows the last frame of a lossless file is a tag, and a decoder that looks at it calls it damage.
        ends = [self._end, self._header.frames if self._header.format in SEEKS_EXACTLY else None]
        return min([BLOCK, *(end - at for end in ends if end is not None)])

    def _next(self, wanted: int) -> tuple[np.ndarray, bool]:
        """The next block, and whether the decoder stumbled in it: what it decoded before that is kept."""
        block = np.full((wanted, self.channels), np.nan, np.float32)
        try:
            return self._file.read(out=block), False
        except soundfile.SoundFileError:
            untouched = np.isnan(block[:, -1])
            return block[: int(untouched.argmax())] if untouched.any() else block, True

    def _ends_early(self, at: int) -> bool:
        """Whether the end at this place is not the one that the file speaks of."""
        header = self._header
        # In Ogg the last page says how many there are, and libsndfile has read it.
        frames = self._file.frames if header.format.startswith("ogg") else header.frames
        return header.is_cut or (frames is not None and at + header.slack < frames)

    def _judge(self) -> None:
        if self.frames == 0 and self.first > 0 and not self.truncated:
            raise self._beyond_end()
        if self.frames == 0:
            raise corrupt("expected a recording, received a header without sound")
        if self.truncated and self.duration_s < self._limits.shortest_s:
            raise corrupt(f"expected a whole file, received one that is damaged after {self.duration_s:.2f} seconds")

    def _beyond_end(self) -> JobFailed:
        said = f"expected an excerpt within the recording, received a start at {self.first / self.rate_hz:g} seconds"
        return JobFailed(f"{said}, which is behind its end: choose an earlier one", code="excerpt_beyond_end")


def _open(path: Path, header: Header) -> Forward:
    try:
        file = Forward(path)
    except soundfile.SoundFileError as cause:
        raise corrupt(f"expected {header.format}, received what its decoder cannot read") from cause
    formats, subtypes = OPENED[header.format]
    rates = OPUS_RATES if header.format == "ogg-opus" else (header.rate_hz,)
    if file.format not in formats or file.subtype not in subtypes:
        file.close()
        raise refused(f"{file.format} of {file.subtype}")
    if file.samplerate not in rates or file.channels != header.channels:
        file.close()
        raise corrupt("expected one header, received two that differ")
    return file


def _check_finite(block: np.ndarray) -> None:
    # A comparison with NaN is false, so this finds NaN, infinity and the absurd at the cost of two passes.
    if len(block) and not (block.max() <= LOUDEST and block.min() >= -LOUDEST):
        said = "expected samples from -1 to 1, received some that are no numbers, or beyond any level"
        raise JobFailed(f"{said}: export the recording anew", code="audio_not_finite")


def downmix(block: np.ndarray) -> np.ndarray:
    """The mean over the channels, float32 (frames,); `mean(axis=1)` takes thirty times as long."""
    if block.shape[1] == 1:
        return block[:, 0]
    mono: np.ndarray = block[:, 0] + block[:, 1]
    for channel in range(2, block.shape[1]):
        mono += block[:, channel]
    mono *= np.float32(1 / block.shape[1])
    return mono


class Resampled:
    """A mono signal at another rate (soxr, HQ), gathered from blocks; the same one where the rates agree."""

    def __init__(self, rate_hz: int, wanted_hz: int) -> None:
        self._stream = None if rate_hz == wanted_hz else soxr.ResampleStream(rate_hz, wanted_hz, 1, quality="HQ")
        self._held = np.empty(wanted_hz, np.float32)
        self._count = 0

    def take(self, mono: np.ndarray) -> None:
        self._keep(mono if self._stream is None else self._stream.resample_chunk(np.ascontiguousarray(mono)))

    def done(self) -> np.ndarray:
        """float32 (samples,), read-only: several listeners share it."""
        if self._stream is not None:
            self._keep(self._stream.resample_chunk(np.empty(0, np.float32), last=True))
        self._held.resize(self._count, refcheck=False)
        self._held.flags.writeable = False
        return self._held

    def _keep(self, samples: np.ndarray) -> None:
        end = self._count + len(samples)
        if end > len(self._held):
            # The kernel moves the pages and copies nothing: half an hour is never held twice.
            self._held.resize(max(end, len(self._held) * 3 // 2), refcheck=False)
        self._held[self._count : end] = samples
        self._count = end
