"""Licences and consents for a person to read."""

from typing import Any

from rich.markup import escape

from etude import page

Json = dict[str, Any]


def rights(said: Json) -> None:
    """The answers first, then a row for each thing that goes in, then the rows that have entries of their own."""
    carried = said["rights"]
    page.say(f"{said['reference']}: commercial use {carried['commercial']}, consent {carried['consent']}")
    table = page.table("made of", "licence", "commercial", "consent", "holder", "source")
    for each in carried["inputs"]:
        names = ", ".join(of["licence"] for of in each["licences"]) or "not declared"
        words = (each["reference"], names, each["commercial"], each["consent"], each["holder"], each["source"])
        table.add_row(*(escape(str(word or "–")) for word in words))
    page.print_table(table, spare=("source", "holder"))
    for key, of_row in said["tracks"].items():
        told = ", ".join(f"{name} {value}" for name, value in of_row.items() if value is not None)
        page.say(f"  {key}: {told}")


def history(entries: list[Json]) -> None:
    table = page.table("entry", "at", "by", "of", "licence", "commercial", "consent", "reason")
    for each in entries:
        consent = (each["consent"] or {}).get("training")
        words = (each["key"], each["track"] or "all", each["licence"], each["commercial"], consent, each["reason"])
        table.add_row(str(each["number"]), page.when(each["at"]), *(escape(str(word or "–")) for word in words))
    page.print_table(table, spare=("reason", "by"))


def entered(said: Json) -> None:
    """What holds now, and which versions that concerns."""
    rights(said)
    for each in said["models"]:
        at = f" ({', '.join(each['aliases'])})" if each["aliases"] else ""
        marks = f"; {', '.join(each['marks']).replace('_', ' ')}" if each["marks"] else ""
        page.say(f"  {each['model']}{at}: commercial use {each['commercial']}, consent {each['consent']}{marks}")
    if said["what_to_do"]:
        page.say(said["what_to_do"])
