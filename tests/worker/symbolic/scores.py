"""MusicXML written for tests: parts of measures of notes, in as few signs as may be."""

import zipfile
from io import BytesIO
from pathlib import Path

import music21

DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">'
)
CHORALES = Path(music21.__file__).parent / "corpus" / "bach"


def note(pitch: str, duration: float | str, extra: str = "") -> str:
    """Of a pitch such as C4 or F#5; `extra` is what else stands in it, the chord first."""
    step, alter, octave = pitch[0], pitch[1:-1], pitch[-1]
    altered = {"#": "<alter>1</alter>", "b": "<alter>-1</alter>", "": ""}[alter]
    written = f"<pitch><step>{step}</step>{altered}<octave>{octave}</octave></pitch>"
    chord = "<chord/>" if "<chord/>" in extra else ""
    return f"<note>{chord}{written}<duration>{duration}</duration>{extra.replace('<chord/>', '')}</note>"


def rest(duration: float) -> str:
    return f"<note><rest/><duration>{duration}</duration></note>"


def attributes(*, divisions: float = 1, time: tuple[int, int] | None = (4, 4), fifths: int = 0, extra: str = "") -> str:
    meter = "" if time is None else f"<time><beats>{time[0]}</beats><beat-type>{time[1]}</beat-type></time>"
    key = f"<key><fifths>{fifths}</fifths><mode>major</mode></key>"
    return f"<attributes><divisions>{divisions}</divisions>{key}{meter}{extra}</attributes>"


def score(*parts: list[str], head: str = "", listed: str | None = None) -> bytes:
    """A score of these parts, each a list of the contents of its measures."""
    entries = "".join(
        f'<score-part id="P{place}"><part-name>Part {chr(65 + place)}</part-name></score-part>'
        for place in range(len(parts))
    )
    written = "".join(
        f'<part id="P{place}">'
        + "".join(f'<measure number="{number}">{each}</measure>' for number, each in enumerate(measures, 1))
        + "</part>"
        for place, measures in enumerate(parts)
    )
    text = f'<?xml version="1.0" encoding="UTF-8"?>{head}<score-partwise version="4.0">'
    return f"{text}<part-list>{listed or entries}</part-list>{written}</score-partwise>".encode()


def container(path: str = "score.xml") -> bytes:
    rootfile = f'<rootfiles><rootfile full-path="{path}"/></rootfiles>'
    return f'<?xml version="1.0"?><container>{rootfile}</container>'.encode()


def zipped(files: dict[str, bytes], *, packed: bool = True) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def mxl(content: bytes) -> bytes:
    return zipped({"META-INF/container.xml": container(), "score.xml": content})
