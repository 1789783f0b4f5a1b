"""Recordings are decoded to their last sample, once and forward; damage and lies in headers are told, not followed."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from shared.errors import JobFailed
from tests.worker.audio import sounds
from worker.audio.decoding import BLOCK, Resampled, Sound, downmix
from worker.audio.limits import AudioLimits
from worker.audio.sniff import sniff

LIMITS = AudioLimits()
LOSSLESS = ("wav", "flac")
RATES = (8_000, 22_050, 44_100, 48_000, 96_000)
# What the encoders can write: MP3 has no third channel and no higher rate, Opus five rates.
CASES = [
    (suffix, rate_hz, channels)
    for suffix in sounds.ENCODERS
    for rate_hz in RATES
    for channels in (1, 2, 6)
    if not (suffix == "mp3" and (channels > 2 or rate_hz > 48_000)) and not (suffix == "opus" and rate_hz % 8000)
    if not (suffix == "opus" and rate_hz > 48_000)
]
RANDOM = np.random.default_rng(0)
# The speakers of each number of channels, as WAV orders them and as Ogg does.
SPEAKERS = {
    3: ("FL FR FC", "FL FC FR"),
    4: ("FL FR RL RR", "FL FR RL RR"),
    5: ("FL FR FC RL RR", "FL FC FR RL RR"),
    6: ("FL FR FC LFE RL RR", "FL FC FR RL RR LFE"),
    7: ("FL FR FC LFE RC SL SR", "FL FC FR SL SR RC LFE"),
    8: ("FL FR FC LFE RL RR SL SR", "FL FC FR SL SR RL RR LFE"),
}


def open_sound(
    path: Path, *, limits: AudioLimits = LIMITS, start_s: float | None = None, end_s: float | None = None
) -> Sound:
    return Sound(path, sniff(path, path.name, limits), limits, start_s=start_s, end_s=end_s)


def through(heard: Sound) -> np.ndarray:
    return np.concatenate(list(heard.blocks()))


def refusal(heard: Sound) -> str:
    with pytest.raises(JobFailed) as failed:
        for _ in heard.blocks():
            pass
    return failed.value.code


def at_once(path: Path) -> np.ndarray:
    """The reference: the whole file in one call."""
    samples: np.ndarray = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return samples


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("suffix", "rate_hz", "channels"), CASES)
def test_every_format_gives_all_of_its_frames(tmp_path: Path, suffix: str, rate_hz: int, channels: int) -> None:
    samples = sounds.sound(rate_hz=rate_hz, channels=channels, seconds=3.3)
    path = sounds.write(tmp_path / f"a.{suffix}", samples, rate_hz=rate_hz)
    heard = open_sound(path)

    decoded = through(heard)

    assert (heard.rate_hz, heard.channels, heard.frames) == (rate_hz, channels, len(samples))
    assert decoded.shape == samples.shape and decoded.dtype == np.float32
    assert not heard.truncated
    # A sixteenth bit for the lossless ones, a likeness for the others.
    assert np.abs(decoded - samples).max() <= 2**-15 if suffix in LOSSLESS else _likeness(decoded, samples) > 0.8


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(downmix(one), downmix(other))[0, 1])


@pytest.mark.parametrize(
    ("suffix", "subtype", "step"),
    [
        ("wav", "PCM_U8", 2**-7), ("wav", "PCM_16", 2**-15), ("wav", "PCM_24", 2**-23), ("wav", "PCM_32", 2**-23),
        ("wav", "FLOAT", 0.0), ("wav", "DOUBLE", 0.0), ("flac", "PCM_16", 2**-15), ("flac", "PCM_24", 2**-23),
    ],
)  # fmt: skip
def test_lossless_samples_are_those_that_were_written(tmp_path: Path, suffix: str, subtype: str, step: float) -> None:
    samples = sounds.sound()
    path = sounds.write(tmp_path / f"a.{suffix}", samples, subtype=subtype)

    assert np.abs(through(open_sound(path)) - samples).max() <= step


def test_blocks_of_mp3_join_without_a_crackle(tmp_path: Path) -> None:
    # At this rate a frame borrows bits of those before it where the third block begins.
    path = sounds.make(tmp_path / "a.mp3", rate_hz=24_000, channels=1, seconds=15.0)

    decoded = through(open_sound(path))

    assert len(decoded) > 3 * BLOCK
    assert np.abs(decoded - at_once(path)).max() < 1e-6


@pytest.mark.parametrize("channels", SPEAKERS)
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus"])
def test_the_channels_of_every_format_come_in_the_order_of_wav(tmp_path: Path, suffix: str, channels: int) -> None:
    ordered, written = (each.split() for each in SPEAKERS[channels])
    if suffix in LOSSLESS:
        written = ordered
    # Each louder than the one before, and all of them low: Opus leaves out the rest of a subwoofer's channel.
    samples = np.zeros((48_000, channels), np.float32)
    for place, speaker in enumerate(written):
        samples[:, place] = 0.1 * (1 + ordered.index(speaker)) * np.sin(2 * np.pi * 80 * np.arange(48_000) / 48_000)
    path = sounds.write(tmp_path / f"a.{suffix}", samples, rate_hz=48_000)

    decoded = through(open_sound(path))

    assert np.argsort(decoded.std(axis=0)).tolist() == list(range(channels))


@pytest.mark.parametrize("suffix", sounds.ENCODERS)
@pytest.mark.parametrize(("start_s", "end_s"), [(None, 1.5), (0.7, None), (1.3333, 2.7777), (2.0, 2.0001), (3.5, 99.0)])
def test_an_excerpt_is_exact_to_the_sample(
    tmp_path: Path, suffix: str, start_s: float | None, end_s: float | None
) -> None:
    path = sounds.make(tmp_path / f"a.{suffix}")
    heard = open_sound(path, start_s=start_s, end_s=end_s)

    decoded = through(heard)

    start, end = round((start_s or 0.0) * heard.rate_hz), round((end_s or 99.0) * heard.rate_hz)
    assert np.array_equal(decoded, at_once(path)[start:end])
    assert not heard.truncated


def test_an_excerpt_of_mp3_has_the_bits_that_its_first_frame_borrows(tmp_path: Path) -> None:
    path = sounds.make(tmp_path / "a.mp3", rate_hz=24_000, channels=1)

    decoded = through(open_sound(path, start_s=1.25))

    assert np.abs(decoded - at_once(path)[30_000:]).max() < 1e-6


@pytest.mark.parametrize("suffix", sounds.ENCODERS)
def test_an_excerpt_behind_the_end_is_refused(tmp_path: Path, suffix: str) -> None:
    path = sounds.make(tmp_path / f"a.{suffix}")

    assert refusal(open_sound(path, start_s=4.0)) == "excerpt_beyond_end"
    assert refusal(open_sound(path, start_s=1e9, end_s=2e9)) == "excerpt_beyond_end"


@pytest.mark.parametrize("suffix", sounds.ENCODERS)
@pytest.mark.parametrize(("start_s", "end_s"), [(None, 1e-6), (1.0, 1.000001), (99.0, 99.000001)])
def test_an_excerpt_that_is_too_short_for_a_sample_is_no_fault_of_the_file(
    tmp_path: Path, suffix: str, start_s: float | None, end_s: float
) -> None:
    path = sounds.make(tmp_path / f"a.{suffix}")

    assert refusal(open_sound(path, start_s=start_s, end_s=end_s)) == "excerpt_invalid"


@pytest.mark.parametrize("suffix", sounds.ENCODERS)
def test_what_is_decoded_is_limited_whatever_the_header_says(tmp_path: Path, suffix: str) -> None:
    path = sounds.make(tmp_path / f"a.{suffix}")

    assert refusal(open_sound(path, limits=AudioLimits(seconds=3.9))) == "audio_too_long"
    assert refusal(open_sound(path, limits=AudioLimits(seconds=3.9), start_s=3.0)) == "audio_too_long"
    assert len(through(open_sound(path, limits=AudioLimits(seconds=4.0)))) > 0
    assert len(through(open_sound(path, limits=AudioLimits(seconds=3.9), end_s=3.9))) > 0


@pytest.mark.parametrize("suffix", sounds.ENCODERS)
@pytest.mark.parametrize("share", [0.5, 0.999])
def test_of_a_file_cut_short_what_there_is_is_kept_and_marked(tmp_path: Path, suffix: str, share: float) -> None:
    whole = sounds.make(tmp_path / f"a.{suffix}", seconds=10.0)
    content = whole.read_bytes()
    heard = open_sound(put(tmp_path / f"b.{suffix}", content[: int(share * len(content))]))

    decoded = through(heard)

    assert heard.truncated
    # Opus and Vorbis come in pages of a second.
    assert 10 * share - 1.1 < heard.duration_s < 10 * share + 0.1
    # The last frames lack what the next would add; the others are those of the whole file.
    assert np.array_equal(decoded[:-5000], at_once(whole)[: len(decoded) - 5000])


@pytest.mark.parametrize("suffix", sounds.ENCODERS)
def test_of_a_file_cut_shorter_than_half_a_second_nothing_is_kept(tmp_path: Path, suffix: str) -> None:
    content = sounds.make(tmp_path / f"a.{suffix}", seconds=20.0).read_bytes()
    cut = put(tmp_path / f"b.{suffix}", content[: len(content) // 60])

    with pytest.raises(JobFailed) as failed:
        through(open_sound(cut))

    assert failed.value.code == "audio_corrupt"


@pytest.mark.parametrize("suffix", ["flac", "mp3", "ogg", "opus"])
def test_damage_in_the_middle_is_told(tmp_path: Path, suffix: str) -> None:
    whole = sounds.make(tmp_path / f"a.{suffix}", seconds=10.0)
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = RANDOM.bytes(3000)
    heard = open_sound(put(tmp_path / f"b.{suffix}", bytes(content)))

    decoded = through(heard)

    assert heard.truncated
    assert heard.duration_s > 4.5
    before = round(3.9 * heard.rate_hz)
    assert np.array_equal(decoded[:before], at_once(whole)[:before])


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus"])
def test_a_tag_behind_the_sound_is_no_damage(tmp_path: Path, suffix: str) -> None:
    whole = sounds.make(tmp_path / f"a.{suffix}")
    heard = open_sound(put(tmp_path / f"b.{suffix}", whole.read_bytes() + b"TAG" + bytes(125)))

    decoded = through(heard)

    assert not heard.truncated
    assert np.array_equal(decoded, at_once(whole))


def test_flac_that_claims_all_the_frames_that_fit_its_header_gives_what_it_has(tmp_path: Path) -> None:
    whole = sounds.make(tmp_path / "a.flac")
    heard = open_sound(put(tmp_path / "b.flac", sounds.claim_flac_frames(whole.read_bytes(), 2**36 - 1)))

    decoded = through(heard)

    assert np.array_equal(decoded, at_once(whole))
    assert heard.truncated


def test_flac_that_does_not_know_its_length_is_whole(tmp_path: Path) -> None:
    whole = sounds.make(tmp_path / "a.flac")
    path = put(tmp_path / "b.flac", sounds.claim_flac_frames(whole.read_bytes(), 0))

    assert np.array_equal(through(heard := open_sound(path)), at_once(whole))
    assert not heard.truncated
    assert np.array_equal(through(open_sound(path, start_s=1.0)), at_once(whole)[44_100:])


def test_mp3_that_claims_two_million_hours_gives_what_it_has(tmp_path: Path) -> None:
    whole = sounds.make(tmp_path / "a.mp3")
    path = put(tmp_path / "b.mp3", sounds.claim_mp3_frames(whole.read_bytes(), 2**31 - 1))
    with soundfile.SoundFile(path) as file:
        assert file.frames > 2.4e12

    heard = open_sound(path)

    decoded = through(heard)
    assert 0 <= len(decoded) - 4 * 44_100 < 1152
    assert np.array_equal(decoded[: 4 * 44_100], at_once(whole))


@pytest.mark.parametrize("suffix", ["ogg", "opus"])
@pytest.mark.parametrize(("more", "is_truncated"), [(10, False), (2000, True)])
def test_ogg_may_claim_some_samples_more_than_it_holds(
    tmp_path: Path, suffix: str, more: int, is_truncated: bool
) -> None:
    content = sounds.make(tmp_path / f"a.{suffix}").read_bytes()
    # The last packet holds more than the file says at first.
    far = through(open_sound(put(tmp_path / f"far.{suffix}", sounds.claim_ogg_frames(content, 100_000))))
    beyond = len(far) - len(at_once(tmp_path / f"a.{suffix}"))

    heard = open_sound(put(tmp_path / f"b.{suffix}", sounds.claim_ogg_frames(content, beyond + more)))

    assert len(through(heard)) == len(far)
    assert heard.truncated == is_truncated


@pytest.mark.parametrize("claimed", [2**32 - 1, 2**32 - 256])
def test_wav_from_a_pipe_ends_where_its_file_does(tmp_path: Path, claimed: int) -> None:
    samples = RANDOM.integers(-20_000, 20_000, 9000).astype("<i2")
    heard = open_sound(put(tmp_path / "a.wav", sounds.wav(samples.tobytes(), claimed=claimed)))

    decoded = through(heard)

    assert np.array_equal(decoded[:, 0], samples / np.float32(32768))
    assert not heard.truncated


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e7])
def test_samples_that_are_no_numbers_or_beyond_any_level_are_refused(tmp_path: Path, value: float) -> None:
    samples = sounds.sound()
    samples[100_000, 1] = value
    path = sounds.write(tmp_path / "a.wav", samples, subtype="FLOAT")

    assert refusal(open_sound(path)) == "audio_not_finite"


def test_a_header_without_sound_is_corrupt(tmp_path: Path) -> None:
    assert refusal(open_sound(put(tmp_path / "a.wav", sounds.wav(b"")))) == "audio_corrupt"


def test_what_only_its_header_check_can_read_is_corrupt(tmp_path: Path) -> None:
    content = sounds.make(tmp_path / "a.ogg").read_bytes()
    path = put(tmp_path / "b.ogg", content[:58] + RANDOM.bytes(9000))

    with pytest.raises(JobFailed) as failed:
        open_sound(path)

    assert failed.value.code == "audio_corrupt"


@pytest.mark.parametrize("channels", range(1, 9))
def test_the_mix_is_the_mean_over_the_channels(channels: int) -> None:
    block = RANDOM.normal(size=(1000, channels)).astype(np.float32)

    mixed = downmix(block)

    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed, block.mean(axis=1, dtype=np.float64), atol=1e-6)


@pytest.mark.parametrize("wanted_hz", [16_000, 22_050])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 96_000, 192_000])
def test_resampling_in_blocks_is_resampling_at_once(rate_hz: int, wanted_hz: int) -> None:
    mono = RANDOM.uniform(-1, 1, 3 * rate_hz + 17).astype(np.float32)
    cuts = np.sort(RANDOM.integers(0, len(mono), 7))
    resampled = Resampled(rate_hz, wanted_hz)

    wave = _resample(resampled, np.split(mono, cuts))

    whole = mono if rate_hz == wanted_hz else soxr.resample(mono, rate_hz, wanted_hz, quality="HQ")
    assert len(wave) == pytest.approx(len(mono) * wanted_hz / rate_hz, abs=1)
    assert wave.dtype == np.float32
    np.testing.assert_allclose(wave, whole, atol=1e-6)


def test_resampling_to_the_same_rate_changes_no_bit() -> None:
    mono = RANDOM.normal(size=100_000).astype(np.float32)

    wave = _resample(Resampled(16_000, 16_000), [mono[:1], mono[1:70_000], mono[70_000:]])

    assert np.array_equal(wave, mono)
    assert not wave.flags.writeable


def _resample(resampled: Resampled, parts: Iterable[np.ndarray]) -> np.ndarray:
    for part in parts:
        resampled.take(part)
    return resampled.done()
