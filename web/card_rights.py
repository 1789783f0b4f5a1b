"""What a card says of rights: whether a version may be used commercially, by what, and whom to name."""

from collections.abc import Iterator
from typing import Any

from web.card_blocks import Block, Grid, Text
from web.card_words import plain

Json = dict[str, Any]

COMMERCIAL = {
    "yes": "It may be used commercially, by all that is declared of what it is made of.",
    "no": "It may not be used commercially: something that it is made of does not allow it.",
    "unknown": "Whether it may be used commercially, nobody has declared for all that it is made of.",
}
CONSENT = {
    None: "It has learned from no dataset.",
    "granted": "Consent to learn from its data was given.",
    "unknown": "Whether anybody agreed that its data is learned from, is not declared.",
    "refused": "Consent to learn from its data is refused by now.",
    "expired": "Consent to learn from its data has ended.",
}
MARKS = {
    "consent_withdrawn_after_training": (
        "Consent was withdrawn after it had learned, for its data or for rows of it; no alias may be moved to it."
    ),
    "consent_expired": "Consent has ended since it learned; no alias may be moved to it.",
}
LAW = "Whether a model is a derivative of what it learned from is a question of law, which this card does not answer."


def blocks(said: Json) -> Iterator[Block]:
    """Sentences first, then a row for each thing that went in."""
    yield Text(f"{COMMERCIAL[said['commercial']]} {CONSENT[said['consent']]}")
    for mark in said["marks"]:
        yield Text(MARKS[mark])
    head = ["made of", "what", "licence", "commercial use", "consent", "holder", "source", "rows kept out"]
    yield Grid(head, [_row(each) for each in said["inputs"]])
    yield Text(LAW)


def _row(each: Json) -> list[str]:
    names = ", ".join(of["licence"] + ("" if of["is_known"] else " (not known here)") for of in each["licences"])
    told = (each["holder"] or "", each["source"] or "", str(each["withheld_rows"] or 0))
    words = (each["reference"], each["what"].replace("_", " "), names or "not declared", each["commercial"])
    return [plain(word, 300) for word in (*words, each["consent"] or "", *told)]
