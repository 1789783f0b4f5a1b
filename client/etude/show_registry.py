"""The registry for a person to read: aliases and their moves, versions side by side, archives that were checked."""

import json
from typing import Any

from rich.markup import escape
from rich.text import Text

from etude import page

HOW = {"moved": "moved", "promoted": "promoted by its training", "rolled_back": "rolled back", None: "–"}

Json = dict[str, Any]


def aliases(model: str, found: list[Json]) -> None:
    if not found:
        return page.say(f"No alias points to a version of {model}: `etude alias {model} champion 1` makes one.")
    table = page.table("alias", "version", "since", "how", "by", "reason")
    for each in found:
        table.add_row(each["alias"], str(each["version"]), *_move(each["last"]))
    return page.print_table(table, spare=("reason", "how"))


def history(found: list[Json]) -> None:
    table = page.table("version", "before", "at", "how", "by", "reason")
    for each in found:
        before = "–" if each["from"] is None else str(each["from"])
        table.add_row(str(each["version"]), before, *_move(each))
    page.print_table(table, spare=("reason", "how"))


def _move(move: Json) -> tuple[str, str, str, str]:
    by = move["job"] or (f"key {move['key']}" if move["key"] else "–")
    return page.when(move["at"]), HOW.get(move["how"], str(move["how"])), escape(by), escape(move["reason"] or "")


def moved(model: str, said: Json, alias: str) -> None:
    page.say(f"{model}@{alias} is now version {said['version']}.")


def rolled_back(model: str, said: Json) -> None:
    page.say(f"{model}@{said['alias']} is version {said['version']} again, and was {said['rolled_back_from']}.")


def comparison(said: Json) -> None:
    """Metrics in a row each, the best marked; then what differs."""
    out, versions = page.console(), said["versions"]
    table = page.table("metric", *(_head(each) for each in versions))
    for metric in said["metrics"]:
        name = metric["metric"].replace("_", " ")
        row = [_value(each, is_best=each["version"] == metric["best"]) for each in metric["values"]]
        table.add_row(escape(f"{name} ({metric['part']})"), *row)
    table.add_row("cost", *(f"{each['cost']['compute_s']:.1f} s" if each["cost"] else "–" for each in versions))
    page.print_table(table)
    if not said["on_same_rows"]:
        out.print("They were judged on different rows: which is better, these figures do not say.", style="yellow")
    for part in ("params", "data", "code"):
        _differences(part, said[part], [each["reference"] for each in versions])


def _head(version: Json) -> str:
    aliases = f" ({', '.join(version['aliases'])})" if version["aliases"] else ""
    return escape(f"{version['reference']}{aliases}")


def _value(said: Json, *, is_best: bool) -> Text:
    return Text(page.figure_with_interval(said), style="bold green" if is_best else "")


def _differences(part: str, found: Json, references: list[str]) -> None:
    if not found:
        return page.say(f"{part}: the same")
    table = page.table(f"{part} that differ", *map(escape, references))
    for name, values in found.items():
        table.add_row(escape(name), *(escape(_short(value)) for value in values))
    return page.print_table(table)


def _short(value: Any) -> str:
    text = "–" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"


def verified(said: Json) -> None:
    files = page.count(said["files"], "file")
    page.say(f"{said['version']}: {files} as the manifest says, and the manifest is signed by this service.")
