"""What a model card is set of, whatever the form: text, facts, tables, figures, pictures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    said: str


@dataclass(frozen=True)
class Facts:
    pairs: list[tuple[str, str]]


@dataclass(frozen=True)
class Grid:
    head: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Figure:
    """A metric with what holds 95 % of its like, and what others come to."""

    name: str
    value: float
    interval: tuple[float, float] | None
    others: dict[str, float]


@dataclass(frozen=True)
class Figures:
    part: str
    figures: list[Figure]


@dataclass(frozen=True)
class Code:
    said: str


@dataclass(frozen=True)
class Plot:
    """Lines of points (x, y), drawn where there can be a picture; `told` says the same in words."""

    told: str
    across: str
    up: str
    lines: dict[str, list[tuple[float, float]]]
    # From corner to corner: where a figure and its like are the same.
    has_diagonal: bool = False


Block = Text | Facts | Grid | Figures | Code | Plot


@dataclass(frozen=True)
class Section:
    title: str
    blocks: list[Block]
