"""The pictures of a model card: lines in a frame, as SVG that needs nothing but the page's own style."""

from html import escape

from web.card_blocks import Plot
from web.card_words import figure

WIDTH, HEIGHT = 440, 200
LEFT, RIGHT, TOP, BOTTOM = 60, 130, 12, 36
# Of an axis on which all points lie together.
LEAST_SPAN = 1e-9

Point = tuple[float, float]


def draw(plot: Plot) -> str:
    """The picture with its words below it."""
    points = [point for line in plot.lines.values() for point in line]
    x, y = _ends([point[0] for point in points]), _ends([point[1] for point in points])
    if plot.has_diagonal:
        x = y = (0.0, 1.0)

    def at(point: Point) -> str:
        across = LEFT + (WIDTH - LEFT - RIGHT) * (point[0] - x[0]) / (x[1] - x[0])
        up = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (point[1] - y[0]) / (y[1] - y[0])
        return f"{across:.1f},{up:.1f}"

    parts = [_frame(), *_ticks(plot, x, y)]
    if plot.has_diagonal:
        parts.append(f'<polyline class="axis" points="{at((0.0, 0.0))} {at((1.0, 1.0))}"/>')
    for place, (name, line) in enumerate(plot.lines.items()):
        parts.append(f'<polyline class="line l{place}" points="{" ".join(map(at, line))}"/>')
        parts.append(_text(WIDTH - RIGHT + 34, TOP + 14 + 18 * place, name, anchor="start"))
        key = f"{WIDTH - RIGHT + 8},{TOP + 10 + 18 * place} {WIDTH - RIGHT + 28},{TOP + 10 + 18 * place}"
        parts.append(f'<polyline class="line l{place}" points="{key}"/>')
    told = escape(plot.told)
    svg = f'<svg role="img" aria-label="{told}" width="{WIDTH}" height="{HEIGHT}">{"".join(parts)}</svg>'
    return f"<figure>{svg}<figcaption>{told}</figcaption></figure>"


def _ends(values: list[float]) -> Point:
    low, high = min(values), max(values)
    # Where all is alike there is room on both sides, however large it is.
    room = max(0.5, abs(low) * 1e-3)
    return (low, high) if high - low > LEAST_SPAN * max(1.0, abs(low)) else (low - room, high + room)


def _frame() -> str:
    corners = f"{LEFT},{TOP} {LEFT},{HEIGHT - BOTTOM} {WIDTH - RIGHT},{HEIGHT - BOTTOM}"
    return f'<polyline class="axis" fill="none" points="{corners}"/>'


def _ticks(plot: Plot, x: Point, y: Point) -> list[str]:
    """The ends of both axes, and what they are of."""
    below = HEIGHT - BOTTOM
    return [
        _text(LEFT, below + 15, figure(x[0]), anchor="start"),
        _text(WIDTH - RIGHT, below + 15, figure(x[1]), anchor="end"),
        _text((LEFT + WIDTH - RIGHT) / 2, below + 30, plot.across, anchor="middle"),
        _text(LEFT - 6, below, figure(y[0]), anchor="end"),
        _text(LEFT - 6, TOP + 10, figure(y[1]), anchor="end"),
        _text(LEFT - 6, (TOP + below) / 2, plot.up, anchor="end"),
    ]


def _text(x: float, y: float, said: str, *, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(said)}</text>'
