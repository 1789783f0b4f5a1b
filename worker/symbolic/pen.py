"""What pictures are drawn with: boxes, lines and text with smooth edges, in plain pixels."""

from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

# Drawn twice as large and then made smaller: edges are smooth so.
FINER = 2
PAPER, INK = "#FFFFFF", "#222222"
# No line that can be read is longer, and what is longer takes long to measure.
MOST_SIGNS = 400


class Pen:
    """A strip of the picture, drawn on in pixels of the picture."""

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (width * FINER, height * FINER), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def box(self, corners: Sequence[float], fill: str, *, outline: str | None = None, radius: float = 0) -> None:
        left, top, right, bottom = (round(at * FINER) for at in corners)
        # Pillow counts the last pixel in.
        place = (left, top, max(right - 1, left), max(bottom - 1, top))
        rounded = min(round(radius * FINER), (place[2] - left) // 2, (place[3] - top) // 2)
        self._draw.rounded_rectangle(place, rounded, fill, outline, FINER if outline else 0)

    def line(self, ends: Sequence[float], colour: str) -> None:
        self._draw.line([round(at * FINER) for at in ends], colour, FINER)

    def tint(self, corners: Sequence[float], colour: str, share: float) -> None:
        """So much of a colour over what is drawn already."""
        left, top, right, bottom = (round(at * FINER) for at in corners)
        below = self._image.crop((left, top, right, bottom))
        self._image.paste(Image.blend(below, Image.new("RGB", below.size, colour), share), (left, top))

    def text(self, at: tuple[float, float], said: str, *, colour: str = INK, size: int, anchor: str = "lm") -> None:
        self._draw.text((at[0] * FINER, at[1] * FINER), said, colour, _font(size * FINER), anchor)

    def done(self) -> Image.Image:
        size = (self._image.width // FINER, self._image.height // FINER)
        return self._image.resize(size, Image.Resampling.LANCZOS)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def wide(said: str, size: int) -> float:
    """The pixels of a line of text."""
    return _font(size).getlength(said)


def fitting(said: str, size: int, *, room: float) -> str:
    """As much of a line as there is room for."""
    if len(said) <= MOST_SIGNS and wide(said, size) <= room:
        return said
    said = said[:MOST_SIGNS]
    while said and wide(said + "…", size) > room:
        said = said[:-1]
    return said.rstrip() + "…"


def mixed(colour: str, share: float) -> str:
    """So much of white in a colour, both as #RRGGBB."""
    parts = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(part + (255 - part) * share):02X}" for part in parts)
