"""What a recording is, by its bytes; whatever is not read here is refused by name, before any codec sees it."""

from pathlib import Path

import numpy as np
import pytest

from shared.errors import JobFailed
from tests.worker.audio import sounds
from worker.audio.headers import Header
from worker.audio.limits import AudioLimits
from worker.audio.sniff import sniff

LIMITS = AudioLimits()
NAMES = {"wav": "wav", "flac": "flac", "mp3": "mp3", "ogg": "ogg-vorbis", "opus": "ogg-opus"}
NOISE = np.random.default_rng(0).bytes(20_000)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(100)
M4A = b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(100)
VORBIS = b"\x01vorbis" + bytes(4) + b"\x02" + (44_100).to_bytes(4, "little") + bytes(14)


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refusal(path: Path, name: str | None = None) -> JobFailed:
    with pytest.raises(JobFailed) as failed:
        sniff(path, name or path.name, LIMITS)
    return failed.value


@pytest.mark.parametrize(("suffix", "form"), NAMES.items())
@pytest.mark.parametrize("channels", [1, 2])
def test_each_format_is_known_by_its_bytes(tmp_path: Path, suffix: str, form: str, channels: int) -> None:
    path = sounds.make(tmp_path / f"a.{suffix}", channels=channels, rate_hz=24_000)

    header = sniff(path, path.name.upper(), LIMITS)

    rate_hz = 48_000 if form == "ogg-opus" else 24_000
    assert (header.format, header.rate_hz, header.channels, header.is_cut) == (form, rate_hz, channels, False)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wav_may_hold_integers_and_floats(tmp_path: Path, subtype: str) -> None:
    path = sounds.write(tmp_path / "a.wav", sounds.sound(), subtype=subtype)

    assert sniff(path, "a.wav", LIMITS) == Header("wav", 44_100, 2, frames=4 * 44_100)


def test_the_extensible_wav_of_those_is_one_of_them(tmp_path: Path) -> None:
    content = sounds.wav(bytes(600), tag=sounds.EXTENSIBLE, bits=24, extra=sounds.extensible(sounds.PCM, 24))

    assert sniff(put(tmp_path / "a.wav", content), "a.wav", LIMITS) == Header("wav", 8000, 1, frames=200)


@pytest.mark.parametrize("suffix", ["mp3", "flac"])
def test_tags_in_front_are_skipped(tmp_path: Path, suffix: str) -> None:
    plain = sounds.make(tmp_path / f"a.{suffix}")
    tagged = put(tmp_path / f"b.{suffix}", sounds.id3(3000) + sounds.id3(100) + plain.read_bytes())

    assert sniff(tagged, tagged.name, LIMITS) == sniff(plain, plain.name, LIMITS)


def test_mp3_may_begin_in_the_middle_of_a_frame(tmp_path: Path) -> None:
    plain = sounds.make(tmp_path / "a.mp3").read_bytes()

    header = sniff(put(tmp_path / "b.mp3", plain[700:]), "b.mp3", LIMITS)

    assert (header.format, header.rate_hz, header.channels, header.frames) == ("mp3", 44_100, 2, None)


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("a.wav", PNG, "a PNG image"),
        ("a.mp3", b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(100), "a JPEG image"),
        ("a.mp3", M4A, "an MP4 or M4A file"),
        ("a.ogg", b"\x1aE\xdf\xa3" + bytes(100), "a Matroska or WebM file"),
        ("a.mp3", b"#EXTM3U\n#EXT-X-TARGETDURATION:10\nhttp://localhost/a.ts\n", "a playlist"),
        ("a.mp3", b"[playlist]\nFile1=http://localhost/a.mp3\n", "a playlist"),
        ("a.flac", b"not found\r\n", "a text"),
        ("a.mp3", b"<!DOCTYPE html>", "an HTML or XML text"),
        ("a.wav", b"MThd\0\0\0\6" + bytes(20), "a MIDI file"),
        ("a.wav", b"RIFF\0\0\0\0AVI LIST" + bytes(20), "an AVI film"),
        ("a.wav", b"PK\x03\x04" + bytes(100), "a zip archive"),
        ("a.mid", sounds.wav(), "a name that ends in"),
        ("a", sounds.wav(), "a name that ends in"),
        ("a.flac", sounds.wav(), "received wav"),
        ("a.mp3", sounds.wav(), "received wav"),
        ("a.opus", sounds.ogg_page(VORBIS), "received ogg-vorbis"),
    ],
)
def test_another_sort_of_file_is_refused_by_its_name(tmp_path: Path, name: str, content: bytes, named: str) -> None:
    failed = refusal(put(tmp_path / name, content))

    assert failed.code == "unsupported_format"
    assert named in failed.detail


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("a.wav", sounds.wav(tag=0x11, bits=4, width=256, extra=b"\2\0\xf9\1"), "IMA-ADPCM"),
        ("a.wav", sounds.wav(tag=0x02, bits=4, width=256), "MS-ADPCM"),
        ("a.wav", sounds.wav(tag=0x06, bits=8), "A-law"),
        ("a.wav", sounds.wav(tag=0x55, bits=0), "MP3"),
        ("a.wav", sounds.wav(tag=0x1234), "codec 0x1234"),
        ("a.wav", sounds.wav(tag=sounds.EXTENSIBLE, bits=8, extra=sounds.extensible(0x06, 8)), "A-law"),
        ("a.wav", sounds.wav(tag=sounds.EXTENSIBLE, extra=sounds.extensible(1, 16, bytes(14))), "codec 0xfffe"),
        ("a.wav", sounds.wav(bits=64), "64 bits"),
        ("a.wav", sounds.wav(magic=b"RF64"), "RF64"),
        ("a.wav", sounds.wav(magic=b"RIFX"), "a big-endian WAV"),
        ("a.wav", b"riff\x2e\x91\xcf\x11" + bytes(100), "W64"),
        ("a.wav", b".snd\0\0\0\x18" + bytes(100), "AU"),
        ("a.wav", b"caff\0\1\0\0" + bytes(100), "CAF"),
        ("a.wav", b"MATLAB 5.0 MAT-file" + bytes(200), "MAT"),
        ("a.wav", b"FORM\0\0\0\0AIFFCOMM" + bytes(100), "AIFF"),
        ("a.mp3", b"\xff\xf1\x50\x80" + bytes(100), "AAC"),
        ("a.mp3", b"\xff\xfd\x90\0" + bytes(100), "layer II"),
        ("a.ogg", sounds.ogg_page(b"Speex   " + bytes(72)), "Speex"),
        ("a.ogg", sounds.ogg_page(b"\x7fFLAC\1\0" + bytes(72)), "FLAC in Ogg"),
    ],
)
def test_sound_of_another_codec_is_refused_by_its_name(tmp_path: Path, name: str, content: bytes, named: str) -> None:
    failed = refusal(put(tmp_path / name, content))

    assert failed.code == "audio_codec_refused"
    assert named in failed.detail


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.wav", sounds.wav(channels=1024)),
        ("a.wav", sounds.wav(channels=65_535)),
        ("a.wav", sounds.wav(channels=9)),
        ("a.wav", sounds.wav(channels=0)),
        ("a.wav", sounds.wav(bits=0)),
        ("a.wav", sounds.wav(rate_hz=0)),
        ("a.wav", sounds.wav(rate_hz=1)),
        ("a.wav", sounds.wav(rate_hz=7_999)),
        ("a.wav", sounds.wav(rate_hz=192_001)),
        ("a.wav", sounds.wav(rate_hz=2**31 - 1)),
        ("a.wav", sounds.wav(rate_hz=2**32 - 1)),
        ("a.flac", b"fLaC\x80\0\0\x22" + bytes(34)),
        ("a.ogg", sounds.ogg_page(VORBIS.replace(b"\x02\x44\xac", b"\xff\x44\xac"))),
        ("a.opus", sounds.ogg_page(b"OpusHead\x01\x00" + bytes(9))),
    ],
)
def test_channels_and_rates_have_bounds(tmp_path: Path, name: str, content: bytes) -> None:
    failed = refusal(put(tmp_path / name, content))

    assert failed.code == "audio_parameters"
    assert "expected" in failed.detail and "received" in failed.detail


@pytest.mark.parametrize("rate_hz", [8_000, 192_000])
def test_the_bounds_themselves_are_allowed(tmp_path: Path, rate_hz: int) -> None:
    path = put(tmp_path / "a.wav", sounds.wav(rate_hz=rate_hz, channels=8))

    assert sniff(path, "a.wav", LIMITS).rate_hz == rate_hz


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((f"a.{suffix}", NOISE) for suffix in NAMES),
        ("a.mp3", sounds.id3(1000)),
        ("a.mp3", b"\xff" * 100_000),
        ("a.mp3", b"\0" * 100_000),
        ("a.wav", sounds.wav()[:30]),
        ("a.wav", sounds.wav()[:12] + b"data" + bytes(100)),
        ("a.wav", sounds.wav()[:36] + sounds.wav()[12:]),
        ("a.wav", sounds.wav(width=3)),
        ("a.flac", b"fLaC"),
        ("a.flac", b"fLaC\x01\0\0\x22" + bytes(34)),
        ("a.ogg", b"OggS"),
        ("a.ogg", sounds.ogg_page(VORBIS, flags=0)),
    ],
)
def test_what_cannot_be_parsed_is_corrupt(tmp_path: Path, name: str, content: bytes) -> None:
    assert refusal(put(tmp_path / name, content)).code == "audio_corrupt"


@pytest.mark.parametrize("size", [20_000, 200_000])
def test_noise_is_no_mp3(tmp_path: Path, size: int) -> None:
    random = np.random.default_rng(0)

    codes = {refusal(put(tmp_path / "a.mp3", b"\0" + random.bytes(size))).code for _ in range(300)}

    assert codes == {"audio_corrupt"}


def test_mp3_may_begin_behind_as_much_padding_as_is_searched(tmp_path: Path) -> None:
    plain = sounds.make(tmp_path / "a.mp3").read_bytes()
    last, beyond = (put(tmp_path / f"{pad}.mp3", bytes(pad) + plain) for pad in (65_535, 2 * 65_536))

    assert sniff(last, last.name, LIMITS).format == "mp3"
    assert refusal(beyond).code == "audio_corrupt"


def test_mp3_may_be_of_a_single_frame(tmp_path: Path) -> None:
    plain = sounds.make(tmp_path / "a.mp3").read_bytes()

    assert sniff(put(tmp_path / "b.mp3", plain[:300]), "b.mp3", LIMITS).format == "mp3"


@pytest.mark.parametrize("claimed", [1001, 2**28 - 1])
def test_a_tag_that_claims_more_than_the_file_is_corrupt(tmp_path: Path, claimed: int) -> None:
    failed = refusal(put(tmp_path / "a.mp3", sounds.id3(1000, claimed=claimed)))

    assert failed.code == "audio_corrupt"
    assert f"claims {claimed:,} bytes" in failed.detail


def test_an_empty_file_is_called_so(tmp_path: Path) -> None:
    assert refusal(put(tmp_path / "a.wav", b"")).code == "audio_empty"


def test_frames_that_cannot_be_are_not_believed(tmp_path: Path) -> None:
    mp3 = sounds.make(tmp_path / "a.mp3")
    put(tmp_path / "b.mp3", sounds.claim_mp3_frames(mp3.read_bytes(), 2**31 - 1))

    assert sniff(mp3, "a.mp3", LIMITS).frames is not None
    assert sniff(tmp_path / "b.mp3", "b.mp3", LIMITS).frames is None


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "opus"])
@pytest.mark.parametrize("missing", [1, 10_000])
def test_a_missing_end_is_seen_in_what_the_file_says(tmp_path: Path, suffix: str, missing: int) -> None:
    whole = sounds.make(tmp_path / f"a.{suffix}").read_bytes()

    assert sniff(put(tmp_path / f"b.{suffix}", whole[:-missing]), f"b.{suffix}", LIMITS).is_cut


@pytest.mark.parametrize("suffix", NAMES)
def test_nothing_but_a_refusal_comes_of_damage(tmp_path: Path, suffix: str) -> None:
    whole = sounds.make(tmp_path / f"a.{suffix}", seconds=1.0).read_bytes()
    random = np.random.default_rng(0)
    ends = [*range(1, 200), *random.integers(200, len(whole), 50).tolist()]
    damaged = [whole[:end] for end in ends]
    for _ in range(300):
        content = bytearray(whole[:4000])
        for place in random.integers(100, size=4):
            content[place] = random.integers(256)
        damaged.append(bytes(content))

    for content in damaged:
        try:
            header = sniff(put(tmp_path / f"b.{suffix}", content), f"b.{suffix}", LIMITS)
        except JobFailed as failed:
            assert failed.code.startswith(("audio_", "unsupported"))
        else:
            assert 1 <= header.channels <= 8 and 8_000 <= header.rate_hz <= 192_000
