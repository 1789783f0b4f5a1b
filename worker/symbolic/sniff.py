"""What a file of symbolic music is, by its leading bytes; its name must agree."""

from worker.symbolic.flaws import Flaw

SUFFIXES = {
    ".mid": "midi", ".midi": "midi", ".musicxml": "musicxml", ".xml": "musicxml", ".mxl": "mxl", ".zip": "zip",
    ".npz": "npz",
}  # fmt: skip
SAID = {
    "midi": "a MIDI file", "musicxml": "MusicXML", "mxl": "a zip archive", "zip": "a zip archive",
    "npz": "a zip archive",
}  # fmt: skip
EXPECTED = "expected a name that ends in .mid, .midi, .musicxml, .xml, .mxl, .zip or .npz"
MARKS = {
    b"MThd": "a MIDI file", b"PK\x03\x04": "a zip archive", b"PK\x05\x06": "a zip archive", b"%PDF": "a PDF",
    b"RIFF": "audio, or MIDI within RIFF", b"fLaC": "audio", b"OggS": "audio", b"ID3": "audio",
    b"\x93NUMPY": "a single NumPy array: save it with np.savez", b"\x1f\x8b": "a gzip file", b"\x89PNG": "a picture",
    b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a RAR archive", b"MMMD": "a ringtone",
}  # fmt: skip
# UTF-8 with a mark of its own, and UTF-16 either way.
BYTE_ORDER = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
HEAD_BYTES = 64


def sniff(head: bytes, name: str) -> str:
    """The format of a file by its name: midi, musicxml, mxl, zip or npz. Raises Flaw when its bytes are another's."""
    declared = SUFFIXES.get("." + name.rpartition("/")[2].rpartition(".")[2].lower())
    if declared is None:
        raise Flaw("unsupported_format", EXPECTED)
    if not head:
        raise Flaw("piece_file_empty", "expected a piece, received an empty file")
    received = _received(head)
    if received != SAID[declared]:
        what = "an MXL file" if declared == "mxl" else SAID[declared]
        raise Flaw("unsupported_format", f"expected {what} as its name says, received {received}")
    return declared


def _received(head: bytes) -> str:
    for mark, what in MARKS.items():
        if head.startswith(mark):
            return what
    if head.startswith(BYTE_ORDER) or head.lstrip()[:1] == b"<":
        return SAID["musicxml"]
    return "bytes of another sort"
