"""A model card as one page that stands by itself: no scripts, nothing from elsewhere, light or dark, fit for paper."""

from html import escape
from typing import Any

from web import card_plots
from web.card_blocks import Block, Code, Facts, Figure, Figures, Grid, Plot, Section, Text
from web.card_pages import sections
from web.card_words import figure, plain, with_interval

Json = dict[str, Any]

WIDTH, HEIGHT, EDGE = 220, 16, 6
STYLE = """
:root{color-scheme:light dark;--ink:#1c2024;--paper:#fff;--quiet:#5b6570;--line:#d4d9de;--bar:#2b6cb0}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ec;--paper:#15181b;--quiet:#a0a9b2;--line:#3a4148;--bar:#7db4e8}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:2rem auto;
padding:0 1rem;overflow-wrap:anywhere}h1{line-height:1.2}h2{border-bottom:1px solid var(--line);margin-top:2rem}
table{border-collapse:collapse;margin:.5rem 0;font-variant-numeric:tabular-nums}caption{text-align:left;font-weight:600}
th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--line);vertical-align:top}
.wide{overflow-x:auto}.wide table{overflow-wrap:break-word}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:var(--quiet)}
dd{margin:0}pre{white-space:pre-wrap;border:1px solid var(--line);padding:.5rem;font-size:.85rem}
svg .axis{stroke:var(--line)}svg .span{stroke:var(--bar);stroke-width:4;opacity:.5}svg .own{fill:var(--bar)}
svg .other{stroke:var(--quiet);stroke-width:2}svg text{fill:var(--quiet);font-size:12px}
svg .line{fill:none;stroke:var(--bar);stroke-width:2}svg .line.l1{stroke:var(--ink);stroke-dasharray:5 3}
figure{margin:.5rem 0}figcaption{color:var(--quiet)}
@media print{:root{--ink:#000;--paper:#fff;--quiet:#444;--line:#999;--bar:#000}body{margin:0;max-width:none}
h2,h3{break-after:avoid}table,svg{break-inside:avoid}}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(card: Json) -> str:
    """The whole document."""
    title = escape(f"Model card: {plain(card['reference'])}")
    body = "\n".join(_section(each) for each in sections(card))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style></head>\n<body><main><h1>{title}</h1>\n{body}\n</main></body></html>\n"
    )


def _section(section: Section) -> str:
    place = section.title.lower().replace(" ", "-")
    blocks = "\n".join(_block(block) for block in section.blocks)
    return f'<section aria-labelledby="{place}"><h2 id="{place}">{escape(section.title)}</h2>\n{blocks}</section>'


def _block(block: Block) -> str:
    match block:
        case Text(said):
            return f"<p>{escape(said)}</p>"
        case Facts(pairs):
            return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(said)}</dd>' for name, said in pairs)}</dl>"
        case Grid(head, rows):
            return _table("", [escape(name) for name in head], [[escape(cell) for cell in row] for row in rows])
        case Figures(part, figures):
            return _bars(part, figures)
        case Code(said):
            return f'<pre tabindex="0">{escape(said)}</pre>'
        case Plot():
            return card_plots.draw(block)


def _table(caption: str, head: list[str], rows: list[list[str]]) -> str:
    named = f"<caption>{caption}</caption>" if caption else ""
    top = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table>{named}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _bars(part: str, figures: list[Figure]) -> str:
    """A row a metric: its value with the interval, drawn as well, and the simpler models."""
    others = list(dict.fromkeys(name for each in figures for name in each.others))
    head = ["metric", "value (95 % interval)", "drawn", *others]
    rows = [
        [
            escape(each.name), escape(with_interval(each.value, each.interval)), _bar(each),
            *(escape(figure(each.others.get(name))) for name in others),
        ]
        for each in figures
    ]  # fmt: skip
    return _table(escape(f"On the {part}"), [escape(name.replace("_", " ")) for name in head], rows)


def _bar(each: Figure) -> str:
    """The interval as a bar, the value as a dot, the simpler models as ticks, on one axis."""
    low, high = _axis(each)

    def at(value: float) -> str:
        return f"{EDGE + (WIDTH - 2 * EDGE) * (value - low) / (high - low):.1f}"

    middle = HEIGHT // 2
    parts = [f'<line class="axis" x1="{EDGE}" x2="{WIDTH - EDGE}" y1="{middle}" y2="{middle}"/>']
    if each.interval is not None:
        ends = f'x1="{at(each.interval[0])}" x2="{at(each.interval[1])}"'
        parts.append(f'<line class="span" {ends} y1="{middle}" y2="{middle}"/>')
    parts += [
        f'<line class="other" x1="{at(value)}" x2="{at(value)}" y1="2" y2="14"/>' for value in each.others.values()
    ]
    parts.append(f'<circle class="own" cx="{at(each.value)}" cy="{middle}" r="4"/>')
    told = escape(f"{each.name}: {with_interval(each.value, each.interval)}, from {figure(low)} to {figure(high)}")
    return f'<svg role="img" aria-label="{told}" width="{WIDTH}" height="{HEIGHT}">{"".join(parts)}</svg>'


def _axis(each: Figure) -> tuple[float, float]:
    """From 0 to 1 where everything lies there, else as far as anything goes."""
    values = [each.value, *(each.interval or ()), *each.others.values()]
    low, high = min(0.0, *values), max(1.0, *values)
    if high > 1.0:
        high *= 1.05
    return low, high
