"""What a recording is, by its leading bytes; its name must agree."""

from pathlib import Path
from typing import BinaryIO

from shared.errors import JobFailed
from worker.audio import headers, mpeg
from worker.audio.headers import Header
from worker.audio.limits import AudioLimits

SUFFIXES = {
    ".wav": ("wav",), ".wave": ("wav",), ".flac": ("flac",), ".mp3": ("mp3",), ".opus": ("ogg-opus",),
    ".ogg": ("ogg-vorbis", "ogg-opus"), ".oga": ("ogg-vorbis", "ogg-opus"),
}  # fmt: skip
# What libsndfile would open, and nobody has checked here.
REFUSED = {
    b"RF64": "RF64", b"BW64": "BW64", b"RIFX": "a big-endian WAV", b"riff\x2e\x91": "W64", b".snd": "AU",
    b"dns.": "AU", b"caff": "CAF", b"MATLAB": "a MAT-file", b"Creative Voice": "VOC", b"MPCK": "Musepack",
    b"MP+": "Musepack", b"MAC ": "Monkey's Audio", b"wvpk": "WavPack", b"DSD ": "DSD", b"FRM8": "DSD",
    b"TTA1": "True Audio", b"#!AMR": "AMR", b"ADIF": "AAC", b"0&\xb2u\x8ef\xcf\x11": "WMA",
}  # fmt: skip
# Named, so that the client reads why and not "bytes of no known sort".
FOREIGN = {
    b"\x89PNG": "a PNG image", b"\xff\xd8\xff": "a JPEG image", b"GIF8": "a GIF image",
    b"\x1aE\xdf\xa3": "a Matroska or WebM file", b"MThd": "a MIDI file", b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip file", b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a RAR archive", b"%PDF": "a PDF",
    b"#EXTM3U": "a playlist", b"[playlist]": "a playlist", b"<?xml": "an XML text", b"<": "an HTML or XML text",
    b"\xef\xbb\xbf#EXTM3U": "a playlist", b"\x89HDF": "an HDF5 file", b"PAR1": "a Parquet file",
    b"\x7fELF": "a program",
}  # fmt: skip
RIFFS = {b"AVI ": "an AVI film", b"WEBP": "a WebP image", b"RMID": "a MIDI file"}
# The first bytes of a frame, with the version of MPEG and whether there is a checksum.
ADTS = (b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9")
LAYER_2 = (b"\xff\xfc", b"\xff\xfd", b"\xff\xf4", b"\xff\xf5")
TEXT_BYTES = 512


def sniff(path: Path, name: str, limits: AudioLimits) -> Header:
    """The format and header of a recording, by no codec. Raises JobFailed where either is not what is read here."""
    if suffix(name) not in SUFFIXES:
        raise _unsupported(f"expected a name that ends in one of {', '.join(SUFFIXES)}")
    size = path.stat().st_size
    if size == 0:
        raise JobFailed("expected a recording, received an empty file: upload it again", code="audio_empty")
    with path.open("rb") as file:
        header = _header(file, size, limits)
    if said := misnamed(name, header.format):
        raise _unsupported(said)
    return header


def misnamed(name: str, found: str) -> str | None:
    """What is wrong with the name of a recording of this format, if anything is."""
    declared = SUFFIXES.get(suffix(name), ())
    if found in declared:
        return None
    return f"expected {' or '.join(declared)} as the name says, received {found}: correct the name"


def suffix(name: str) -> str:
    """How a file's name ends, in small letters."""
    return Path(name).suffix.lower()


def _header(file: BinaryIO, size: int, limits: AudioLimits) -> Header:
    at = mpeg.after_tags(file, size)
    file.seek(at)
    head = file.read(TEXT_BYTES)
    if head.startswith(b"fLaC"):
        return headers.flac(file, at, limits)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE" and at == 0:
        return headers.wav(file, limits)
    if head.startswith(b"OggS") and at == 0:
        return headers.ogg(file, size, limits)
    _refuse_others(head)
    return mpeg.header(file, size, at, limits)


def _refuse_others(head: bytes) -> None:
    """Raise JobFailed for bytes that are plainly something else than MP3."""
    if head[:4] == b"FORM" and head[8:11] == b"AIF":
        raise headers.refused("AIFF")
    if found := [what for magic, what in REFUSED.items() if head.startswith(magic)]:
        raise headers.refused(found[0])
    if head[:2] in ADTS:
        raise headers.refused("AAC")
    if head[:2] in LAYER_2:
        raise headers.refused("MPEG audio of layer II")
    if what := _foreign(head):
        raise _unsupported(f"expected a recording, received {what}: upload WAV, FLAC, MP3, Ogg Vorbis or Ogg Opus")


def _foreign(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return "an MP4 or M4A file"
    if head[:4] in (b"RIFF", b"OggS", b"fLaC"):
        return RIFFS.get(head[8:12], "sound of another format behind a tag, or a RIFF of another sort")
    named = next((what for magic, what in FOREIGN.items() if head.startswith(magic)), None)
    return named or ("a text" if _is_text(head) else None)


def _is_text(head: bytes) -> bool:
    return bool(head) and head.isascii() and all(sign >= 32 or sign in b"\t\r\n\f" for sign in head)


def _unsupported(message: str) -> JobFailed:
    return JobFailed(message, code="unsupported_format")
