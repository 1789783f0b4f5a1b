"""A model card as Markdown (CommonMark with tables), in which nothing that a client has named can be markup."""

import re
from typing import Any

from web.card_blocks import Block, Code, Facts, Figures, Grid, Plot, Section, Text
from web.card_pages import sections
from web.card_words import figure, plain, with_interval

Json = dict[str, Any]

_SIGNS = re.compile(r"([\\`*_\[\]#|~$])")
# What begins a list or a heading where a line begins, and what makes an address out of text.
_FIRST = re.compile(r"^([-+=:]|\d+(?=[.)]))")
_ADDRESS = re.compile(r"(?i)(://|www\.)")


def page(card: Json) -> str:
    """The whole document."""
    title = f"# Model card: {escape(plain(card['reference']))}"
    return "\n\n".join([title, *(_section(each) for each in sections(card))]) + "\n"


def escape(said: str) -> str:
    """Text of which every sign means itself."""
    text = _SIGNS.sub(r"\\\1", said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    return _ADDRESS.sub(lambda found: "".join(f"&#{ord(sign)};" for sign in found.group()), text)


def _line(said: str) -> str:
    """The same where a line begins with it."""
    return _FIRST.sub(lambda found: f"&#{ord(found.group()[0])};{found.group()[1:]}", escape(said))


def _section(section: Section) -> str:
    return "\n\n".join([f"## {section.title}", *(_block(block) for block in section.blocks)])


def _block(block: Block) -> str:
    match block:
        case Text(said):
            return _line(said)
        case Facts(pairs):
            return "\n".join(f"- {escape(name)}: {escape(said)}" for name, said in pairs)
        case Grid(head, rows):
            return _table(head, rows)
        case Figures(part, figures):
            others = list(dict.fromkeys(name for each in figures for name in each.others))
            head = [f"on the {part}", "value (95 % interval)", *(name.replace("_", " ") for name in others)]
            rows = [
                [
                    each.name,
                    with_interval(each.value, each.interval),
                    *(figure(each.others.get(name)) for name in others),
                ]
                for each in figures
            ]
            return _table(head, rows)
        case Code(said):
            return _fenced(said)
        case Plot(told):
            return _line(told)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(said: str) -> str:
    return said if said == "---" else escape(said)


def _fenced(said: str) -> str:
    """Between fences that are longer than any run of their sign within."""
    longest = max((len(run) for run in re.findall("`+", said)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}json\n{said}\n{fence}"
