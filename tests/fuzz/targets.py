"""The parsers that are Python alone, each as a function of bytes that takes them, or refuses them by name.

Whatever else one raises is a finding. Nothing here needs Atheris; whoever imports this under it has all of it led.
"""

import json
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from shared import cron
from shared.errors import BadRequest, EtudeError, JobFailed
from tests.words import error_codes
from web import strict_json
from worker import rings
from worker.audio import sniff
from worker.audio.limits import AudioLimits
from worker.formats import archive, text
from worker.formats.limits import Limits
from worker.formats.source import Faults
from worker.symbolic import headers, midi, musicxml, mxl
from worker.symbolic.flaws import Flaw
from worker.symbolic.piece import Piece

CODES = error_codes()
FOLDER = tempfile.TemporaryDirectory(prefix="etude-fuzz-")


def take_json(content: bytes) -> bool:
    try:
        read = strict_json.read(content)
    except BadRequest as refused:
        assert refused.code.startswith("json_"), refused.code
        return False
    assert read == json.loads(content)
    return True


def take_ring(content: bytes) -> bool:
    return rings.read(content) is not None


def take_cron(content: bytes) -> bool:
    try:
        cron.read(content.decode("latin-1"))
    except (ValueError, EtudeError) as refused:
        assert str(refused)
        return False
    return True


def take_midi(content: bytes) -> bool:
    return _take_piece(midi.read, content)


def take_musicxml(content: bytes) -> bool:
    return _take_piece(musicxml.read, content)


def take_mxl(content: bytes) -> bool:
    return _take_piece(mxl.read, content)


def _take_piece(read: Callable[[bytes, str], Piece], content: bytes) -> bool:
    try:
        piece = read(content, "a")
    except Flaw as flaw:
        assert flaw.code in CODES and flaw.code != "decoder_crashed" and flaw.detail.isprintable(), flaw.code
        return False
    json.dumps(headers.write(piece), allow_nan=False)
    return True


def take_recording(content: bytes) -> bool:
    """Its headers; no codec sees it."""
    try:
        found = sniff.sniff(_file(content), "a.wav", AudioLimits())
    except JobFailed as refused:
        return _refused(refused)
    assert found.rate_hz > 0 and found.channels > 0 and (found.frames is None or found.frames >= 0), found
    return True


def take_arrays(content: bytes) -> bool:
    """The archive around arrays, and their headers."""
    into = BytesIO()
    try:
        arrays = archive.unpack(_file(content), into, Limits(), Faults("t.npz"))
    except JobFailed as refused:
        return _refused(refused)
    assert sum(len(each.read(0, each.rows)) for each in arrays) == sum(each.rows for each in arrays)
    return True


def take_csv(content: bytes) -> bool:
    """That it is text, and the line with the names."""
    path = _file(content)
    try:
        text.check_text(path, Faults("t.csv"))
        found = text.read_header(path, Limits(), Faults("t.csv"))
    except JobFailed as refused:
        return _refused(refused)
    assert found.names
    return True


def _file(content: bytes) -> Path:
    path = Path(FOLDER.name) / "upload"
    path.write_bytes(content)
    return path


def _refused(refused: JobFailed) -> bool:
    codes = [fault.code for fault in refused.faults] or [refused.code]
    assert set(codes) <= CODES and refused.detail, codes
    return False


TARGETS: dict[str, Callable[[bytes], bool]] = {
    "json": take_json, "ring": take_ring, "cron": take_cron, "midi": take_midi, "musicxml": take_musicxml,
    "mxl": take_mxl, "recording": take_recording, "arrays": take_arrays, "csv": take_csv,
}  # fmt: skip
