"""The files of H16 to H49, as they are uploaded: what each case sends, and what must become of the dataset."""

import functools
import io
import tempfile
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests import hostile_archives as zips
from tests.hostile_files import CASES
from tests.worker.audio import sounds
from tests.worker.symbolic import midi_files as midi

MiB = 1024 * 1024
# What a fault is called where the dataset is good all the same.
GOOD = "ready"
# Refused with these codes before there is a job.
AT_THE_DOOR = {"upload_empty"}
RANDOM = np.random.default_rng(7)


@dataclass(frozen=True)
class Upload:
    """A file under the name that it is sent with, and the code that it is refused with, or GOOD."""

    file: str
    make: Callable[[Path], object]
    code: str
    format: str = "table"


def _tables(*names: str) -> list[Upload]:
    return [Upload(CASES[name].file, CASES[name].make, CASES[name].code) for name in names]


def _bytes(content: bytes | Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content())


def _audio(file: str, content: bytes | Callable[[], bytes], code: str) -> Upload:
    return Upload(file, _bytes(content), code, "audio")


def _piece(content: bytes | Callable[[], bytes], code: str, file: str = "a.mid") -> Upload:
    return Upload(file, _bytes(content), code, "symbolic")


@functools.cache
def _encoded(suffix: str) -> bytes:
    """Four seconds of sound, encoded once."""
    with tempfile.TemporaryDirectory() as folder:
        return sounds.make(Path(folder) / f"good.{suffix}").read_bytes()


def _packed(content: bytes, name: str = "a.mid") -> bytes:
    return zips.archive([zips.stored(name, content)])


def _notes(count: int) -> bytes:
    """So many notes, each begun and never ended."""
    return midi.file(b"\x00\x90\x3c\x40" + b"\x00\x3c\x40" * (count - 1) + b"\x60\x80\x3c\x40")


def _xml(text: str) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()


def _short_wave() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
    return buffer.getvalue()


SONG = midi.file(midi.melody([60, 62, 64]))
FORMULAS = b"name,tempo,genre\n=cmd|' /C calc'!A0,1,rock\n+1,2,pop\n@SUM(A1),3,rock\n\"\t=1+1\",4,pop\n"

UPLOADS: dict[str, list[Upload]] = {
    "H16": _tables(
        "foreign: a Keras archive", "foreign: HDF5", "foreign: a pickle", "foreign: a SavedModel zip",
        "foreign: a PyTorch archive", "foreign: ONNX",
    ),
    "H17": _tables("npz: pickled objects"),
    "H18": _tables("foreign: a pickle named as NPZ"),
    "H19": _tables("npz: 10^12 elements", "npz: an element of 2 GiB", "npz: a negative side", "npz: a header of 60 KB"),
    "H20": _tables("npz: a bomb of 3.2 GB in 3.1 MB"),
    "H21": _tables("npz: a climbing name", "npz: an absolute name", "npz: a drive", "npz: a backslash"),
    "H22": _tables("npz: a symbolic link", "npz: a device", "npz: encryption", "npz: an archive in the archive"),
    "H23": [Upload("a.zip", lambda path: zips.write(path, [zips.bomb(1024 * MiB)]), "decompression_limit", "symbolic")],
    "H24": _tables("npz: one array under 1,000 names"),
    "H25": _tables("npz: a bomb that says it is small", "npz: two names for one entry", "npz: a wrong checksum"),
    "H26": _tables("npz: 20,000 arrays"),
    "H27": [
        *_tables(
            "npz: a name twice", "npz: names that are composed otherwise", "npz: a turned name", "npz: a name of 60 KB"
        ),
        # Arrays are never files: these are two columns, as they are in CSV.
        Upload("t.npz", lambda path: np.savez(path, X=[1.0, 2.0], x=[3.0, 4.0]), GOOD),
    ],
    "H28": _tables("parquet: 60 million rows of one value"),
    "H29": _tables("parquet: 634 bytes that want gigabytes"),
    "H30": _tables("parquet: 20,000 columns"),
    "H31": _tables(
        "parquet: garbage between the magic", "parquet: a footer longer than the file", "parquet: a cut file",
        "parquet: an unknown extension", "parquet: encryption",
    ),
    "H32": _tables("csv: a NUL"),
    "H33": _tables("csv: Latin-1"),
    "H34": _tables("csv: UTF-16"),
    "H35": _tables(
        "csv: a field of 64 MB", "csv: a quotation mark open for 12 MB", "csv: two million columns",
        "csv: 50 million empty lines",
    ),
    "H36": [
        *_tables("csv: a short row", "csv: a name twice", "csv: a header alone"),
        Upload("t.csv", _bytes(b""), "upload_empty"),
    ],
    "H37": _tables("csv: infinity", "csv: nan spelled otherwise", "csv: 1e999", "csv: a number of 5,000 digits"),
    "H38": [Upload("t.csv", _bytes(FORMULAS), GOOD)],
    "H39": [
        _audio("a.flac", lambda: sounds.claim_flac_frames(_encoded("flac"), 2**36 - 1), GOOD),
        _audio("a.mp3", lambda: sounds.claim_mp3_frames(_encoded("mp3"), 2**31 - 1), GOOD),
    ],
    "H40": [Upload("a.flac", sounds.hour_of_silence, "audio_too_long", "audio")],
    "H41": [
        _audio("a.wav", sounds.wav(channels=1024), "audio_parameters"),
        _audio("a.wav", sounds.wav(channels=0), "audio_parameters"),
        _audio("a.wav", sounds.wav(bits=0), "audio_parameters"),
        *(_audio("a.wav", sounds.wav(rate_hz=rate_hz), "audio_parameters") for rate_hz in (0, 1, 2**31 - 1)),
    ],
    "H42": [
        _audio("a.wav", sounds.wav(tag=0x11, bits=4, width=65_535, extra=b"\2\0\xff\xff"), "audio_codec_refused"),
        _audio("a.wav", sounds.wav(tag=0x02, bits=4, width=65_535), "audio_codec_refused"),
        _audio("a.wav", sounds.wav(magic=b"RF64"), "audio_codec_refused"),
        _audio("a.wav", b".snd\0\0\0\x18\xff\xff\xff\xff" + bytes(100), "audio_codec_refused"),
        _audio("a.wav", b"MATLAB 5.0 MAT-file" + bytes(200), "audio_codec_refused"),
    ],
    "H43": [
        _audio("a.mp3", sounds.id3(2000, claimed=2**28 - 1), "audio_corrupt"),
        _audio("a.ogg", lambda: _encoded("ogg")[:5000], "audio_corrupt"),
        _audio("a.mp3", b"", "upload_empty"),
        _audio("a.mp3", RANDOM.bytes(50_000), "audio_corrupt"),
        _audio("a.wav", _short_wave, "audio_corrupt"),
    ],
    "H45": [
        _piece(midi.file(midi.number(2**28 - 1) + midi.note(62, 9)), "piece_too_long"),
        _piece(midi.file(b"".join(midi.note(62, 2**28 - 1) for _ in range(100))), "piece_too_long"),
    ],
    "H46": [
        _piece(midi.header(tracks=65_535) + midi.chunk(b"MTrk", midi.END), "piece_too_large"),
        _piece(midi.file(*[midi.melody([60])] * 65_535), "piece_too_large"),
        _piece(midi.header(tracks=2) + midi.chunk(b"MTrk", midi.melody([60]) + midi.END), "midi_truncated"),
    ],
    "H47": [
        _piece(midi.file(midi.melody([60]), division=0), "midi_division"),
        _piece(midi.file(midi.melody([60]), division=0xE900), "midi_division"),
        _piece(midi.file(midi.melody([60]), division=0xE728), GOOD),
        _piece(midi.file(midi.tempo(0) + midi.melody([60])), "tempo_invalid"),
    ],
    "H48": [
        _piece(lambda: _notes(500_000), GOOD),
        _piece(lambda: _notes(1_000_000), "piece_too_large"),
        _piece(lambda: midi.file(midi.tempo(500_000) * 300_000 + midi.melody([60])), GOOD),
    ],
    "H66": [
        _piece(_xml('<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'),
               "xml_entities", "a.musicxml"),
        _piece(_xml('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'), "xml_entities", "a.musicxml"),
        _piece(_xml("<x>" * 100_000 + "</x>" * 100_000), "xml_too_deep", "a.musicxml"),
        _piece(lambda: _packed(b"<container" * 1000, "META-INF/container.xml"), "xml_corrupt", "a.mxl"),
    ],
    "H49": [
        _piece(midi.header() + b"MTrk\xff\xff\xff\xff" + midi.melody([60]), "midi_truncated"),
        _piece(midi.header() + midi.chunk(b"MTrk", b"\x00\xff\x01\x7fab"), "midi_truncated"),
        _piece(midi.header() + midi.chunk(b"MTrk", b"\x00\xf0\x7fab"), "midi_truncated"),
        _piece(midi.file(b"\xff" * 100_000 + midi.melody([60])), "midi_corrupt"),
        _piece(b"RIFF\x40\0\0\0RMIDdata\x30\0\0\0" + SONG, "unsupported_format"),
        _piece(b"", "upload_empty"),
    ],
}  # fmt: skip
