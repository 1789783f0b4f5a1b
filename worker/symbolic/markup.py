"""XML as a tree, within bounds: no entity is declared, none fetched, and what no reader asks for is not kept."""

import re
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from shared import sorts
from worker.symbolic import bounds
from worker.symbolic.flaws import Flaw

MOST_BYTES = 64 * bounds.MiB
# MusicXML goes 12 deep; trees are walked by functions that call themselves.
MOST_DEPTH = 64
# A note has six to eight that are kept; the tree of so many takes 400 MiB and 18 s.
MOST_ELEMENTS = 4_000_000
MOST_ATTRIBUTES = 50
# How notes look, and what is sung: half of a score.
IGNORED = frozenset(
    {
        "accidental", "appearance", "barline", "beam", "credit", "defaults", "dot", "figured-bass", "identification",
        "lyric", "notations", "notehead", "print", "stem", "type", "harmony", "staff-details",
    }
)  # fmt: skip
# 10^9 and six places: Python would compute what 1e999999999 is.
NUMBER = re.compile(r"\s*([+-]?)(\d{1,9})?(?:\.(\d{0,6})\d*)?\s*")


def parse(content: bytes) -> Element:
    """The root of the tree. Raises Flaw."""
    if len(content) > MOST_BYTES:
        said = f"expected MusicXML of at most {MOST_BYTES // bounds.MiB} MiB, received {len(content):,} bytes"
        raise Flaw("piece_too_large", said)
    tree = _Tree()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = tree.start, tree.end
    parser.CharacterDataHandler = tree.text
    parser.StartDoctypeDeclHandler = _check_doctype
    parser.EntityDeclHandler = parser.UnparsedEntityDeclHandler = parser.ExternalEntityRefHandler = _refuse_entity
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as cause:
        # An unknown encoding is a LookupError, a NUL in the name of one a ValueError: both quote that name.
        said = str(cause) if isinstance(cause, expat.ExpatError) else "its encoding is none that is known"
        raise Flaw("xml_corrupt", f"the XML cannot be read: {said}") from cause
    return tree.builder.close()


class _Tree:
    """Builds what is kept, and counts everything."""

    def __init__(self) -> None:
        self.builder = TreeBuilder()
        self._depth = self._elements = self._ignored_from = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise Flaw("xml_too_deep", f"expected elements at most {MOST_DEPTH} deep in each other, received more")
        if len(attributes) > MOST_ATTRIBUTES:
            raise Flaw("piece_too_large", f"expected at most {MOST_ATTRIBUTES} attributes an element, received more")
        if self._ignored_from or (tag in IGNORED and self._depth > 1):
            self._ignored_from = self._ignored_from or self._depth
            return
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
            raise Flaw("piece_too_large", f"expected at most {MOST_ELEMENTS:,} elements, received more")
        self.builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        self._depth -= 1
        if not self._ignored_from:
            self.builder.end(tag)
        elif self._depth < self._ignored_from:
            self._ignored_from = 0

    def text(self, text: str) -> None:
        if not self._ignored_from:
            self.builder.data(text)


def _check_doctype(name: str, system: str | None, public: str | None, has_subset: int) -> None:
    """The usual line names a DTD, which is never fetched; one with declarations of its own is refused."""
    if has_subset:
        raise _entities()


def _refuse_entity(*_: object) -> int:
    raise _entities()


def _entities() -> Flaw:
    said = "expected no declarations within <!DOCTYPE>: entities make small files large, or read files of the server"
    return Flaw("xml_entities", said)


def number(text: str | None, what: str) -> tuple[int, int]:
    """A decimal number as a whole one and what to divide it by. Raises Flaw when it is none, or has too many digits."""
    found = NUMBER.fullmatch(text or "")
    if found is None or not (found[2] or found[3]):
        raise Flaw("musicxml_invalid", f"expected a number as {what}, received {sorts.of(text)}")
    places = found[3] or ""
    whole = int((found[2] or "") + places)
    return (-whole if found[1] == "-" else whole), 10 ** len(places)
