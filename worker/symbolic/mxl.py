"""MXL: a zip archive around one MusicXML score, which its container names."""

import io
import zipfile
from xml.etree.ElementTree import Element

from worker.symbolic import archive, markup, musicxml
from worker.symbolic.flaws import Flaw
from worker.symbolic.piece import Piece

SUFFIXES = (".musicxml", ".xml")


def read(content: bytes, name: str) -> Piece:
    """The piece that an MXL file holds. Raises Flaw."""
    with archive.opened(io.BytesIO(content)) as opened:
        entries = {entry.filename: entry for entry in archive.files(opened)}
        chosen = _score(opened, entries)
        return musicxml.read(archive.content(opened, chosen), name)


def _score(opened: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> zipfile.ZipInfo:
    """The entry that the container names first, or without a container the only score that there is."""
    if archive.CONTAINER in entries:
        root = markup.parse(archive.content(opened, entries[archive.CONTAINER]))
        named = _named(root)
        if named not in entries:
            raise Flaw("mxl_invalid", "the container names a score that the archive does not hold")
        return entries[named]
    scores = [entry for name, entry in entries.items() if name.lower().endswith(SUFFIXES)]
    if len(scores) != 1:
        said = f"expected {archive.CONTAINER}, which names the score, or one score; received {len(scores)} without one"
        raise Flaw("mxl_invalid", said)
    return scores[0]


def _named(root: Element) -> str:
    """Some containers have a namespace, and some list a PDF of the score, too, after it."""
    found = next((each for each in root.iter() if each.tag.rpartition("}")[2] == "rootfile"), None)
    if found is None:
        raise Flaw("mxl_invalid", "the container names no file")
    return found.get("full-path", "")
