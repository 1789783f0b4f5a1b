"""A model card as sections of text, facts, tables and figures, which web/card_html.py and web/card_markdown.py set."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from web import card_privacy, card_rights
from web.card_blocks import Block, Code, Facts, Figure, Figures, Grid, Plot, Section, Text
from web.card_words import CELL_SHOWN, figure, plain, with_interval

Json = dict[str, Any]

TEXT_SHOWN, ROWS_SHOWN, CODE_SHOWN = 4000, 50, 8000
UNSAID = "not stated by its owner"
UNMEASURED = "not measured"
# Have sections of their own.
APART = ("calibration", "importance", "leakage")


def sections(card: Json) -> Iterator[Section]:
    """The whole card, in the order in which it is read."""
    yield Section("Purpose", [_purpose(card)])
    yield Section("Data", list(_data(card["data"])))
    yield Section("Metrics", list(_metrics(card)) or [Text(UNMEASURED)])
    yield Section("Training", list(_training(card["training"])) or [Text(UNMEASURED)])
    yield Section("Calibration", [*_reliability(card["calibration"]), *_or_unmeasured(card["calibration"])])
    yield Section("Leakage and warnings", list(_warnings(card)))
    yield Section("Privacy", list(card_privacy.blocks(card["privacy"])))
    yield Section("Rights", list(card_rights.blocks(card["rights"])))
    yield Section("What it looks at", _or_unmeasured(card["importance"]))
    yield Section("Beside the champion", list(_champion(card["champion"])))
    yield Section("Aliases", list(_moves(card["moves"])))
    yield Section("Architecture", list(_blocks(card["architecture"])))
    if card["search"] is not None:
        flattering = "Its validation figures flatter it, for it was chosen by them; those of the test do not."
        yield Section("Search", [Text(flattering), *_blocks(card["search"])])
    yield Section("Settings", list(_blocks(card["params"])) or [Text("none")])
    yield Section("Networks of others", [Facts(_pairs(each)) for each in card["base_weights"]] or [Text("none")])
    yield Section("Cost", _or_unmeasured(card["cost"]))
    yield Section("To train it again", list(_blocks(card["reproduce"])))
    yield Section("Not measured", [Text(", ".join(card["not_measured"]).replace("_", " ") or "nothing is missing")])


def _purpose(card: Json) -> Facts:
    asked = ("description", "intended_use", "limits", "licence")
    said = [(name.replace("_", " "), plain(card[name] or UNSAID, TEXT_SHOWN)) for name in asked]
    names = [("model", plain(card["reference"])), ("kind", card["kind"]), ("made", card["created_at"])]
    return Facts([*names, ("by job", card["job"] or "none: it comes with the service"), *said])


def _data(data: Json) -> Iterator[Block]:
    """What was learned from; of the columns the names alone, by their types."""
    yield from _blocks({name: value for name, value in data.items() if name not in ("columns", "masking")})
    if data.get("masking"):
        rules = [f"{column}: {rule['rule']}" for column, rule in data["masking"].items()]
        yield Text(f"masked at the door, before anything was written: {plain('; '.join(rules), TEXT_SHOWN)}")
    by_type: dict[str, list[str]] = {}
    for column in data.get("columns") or ():
        by_type.setdefault(plain(column["type"]), []).append(plain(column["name"]))
    if by_type:
        yield Text("columns:")
        yield Facts([(f"{len(names)} {sort}", plain(", ".join(names), TEXT_SHOWN)) for sort, names in by_type.items()])


def _or_unmeasured(said: Any) -> list[Block]:
    return list(_blocks(said)) or [Text(UNMEASURED)]


def _blocks(said: Any) -> Iterator[Block]:
    """Facts of what is short, tables of what is alike, JSON of the rest."""
    if not said:
        return
    if isinstance(said, list):
        yield _grid(said) if all(isinstance(each, dict) for each in said) else Text(_cell(said))
        return
    short = {name: value for name, value in said.items() if not _is_long(value)}
    if short:
        yield Facts(_pairs(short))
    for name, value in said.items():
        if _is_long(value):
            yield Text(f"{plain(name).replace('_', ' ')}:")
            yield _long(value)


def _pairs(said: Json) -> list[tuple[str, str]]:
    return [(plain(name).replace("_", " "), _cell(value)) for name, value in said.items()]


def _is_long(value: Any) -> bool:
    return isinstance(value, dict | list) and len(_as_json(value)) > CELL_SHOWN


def _long(value: Any) -> Block:
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return _grid([_spread(each) for each in value])
    if isinstance(value, dict) and value.keys() == {"labels", "rows"} and isinstance(value["labels"], list):
        return _confusion(value["labels"], value["rows"])
    if isinstance(value, dict) and _is_flat(value.values()):
        return Facts(_pairs(value))
    if isinstance(value, dict) and all(isinstance(each, dict) and "value" not in each for each in value.values()):
        return _grid([{"": name, **each} for name, each in value.items()])
    text = json.dumps(value, ensure_ascii=False, indent=1, default=str)
    return Code(text if len(text) <= CODE_SHOWN else f"{text[:CODE_SHOWN]}…")


def _spread(row: Json) -> Json:
    """A row whose metrics are columns of their own."""
    metrics = row.get("metrics")
    if not isinstance(metrics, dict):
        return row
    return {**{name: value for name, value in row.items() if name != "metrics"}, **metrics}


def _confusion(labels: Sequence[Any], counts: Sequence[Sequence[Any]]) -> Block:
    """A row for what is, a column for what was said."""
    return _grid(
        [
            {"is \\ said": label, **dict(zip(labels, row, strict=True))}
            for label, row in zip(labels, counts, strict=True)
        ]
    )


def _grid(rows: Sequence[Json]) -> Grid:
    head = list(dict.fromkeys(name for row in rows[:ROWS_SHOWN] for name in row))
    shown = [[_cell(row.get(name)) for name in head] for row in rows[:ROWS_SHOWN]]
    if len(rows) > ROWS_SHOWN:
        shown.append([f"… {len(rows) - ROWS_SHOWN} more", *[""] * (len(head) - 1)])
    return Grid([plain(name).replace("_", " ") for name in head], shown)


def _cell(value: Any) -> str:
    if isinstance(value, dict) and "value" in value:
        return with_interval(value["value"], value.get("interval"))
    if isinstance(value, dict) and all(not isinstance(each, list) or _is_flat(each) for each in value.values()):
        return plain(
            ", ".join(f"{str(name).replace('_', ' ')} {_inner(each)}" for name, each in value.items()) or "none"
        )
    if isinstance(value, list) and _is_flat(value):
        return plain(", ".join(map(figure, value)) or "none")
    return plain(_as_json(value)) if isinstance(value, dict | list) else figure(value)


def _inner(value: Any) -> str:
    """What stands within a cell that tells of several things."""
    return f"({_cell(value)})" if isinstance(value, dict | list) else figure(value)


def _is_flat(values: Iterable[Any]) -> bool:
    return not any(isinstance(each, dict | list) for each in values)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _metrics(card: Json) -> Iterator[Block]:
    """Of each part the figures as bars, and what belongs to single classes or groups as tables."""
    for part, said in card["metrics"].items():
        if part in APART or not isinstance(said, dict):
            continue
        found = list(_figures(said, card["baselines"].get(part) or {}))
        if found:
            yield Figures(plain(part).replace("_", " "), found)
        for name, value in said.items():
            if isinstance(value, dict | list) and value and "value" not in value and name not in APART:
                yield Text(f"{plain(part)}, {plain(name)}:".replace("_", " "))
                yield _long(value)


def _figures(said: Json, baselines: Json) -> Iterator[Figure]:
    for name, metric in said.items():
        if not isinstance(metric, dict) or not isinstance(metric.get("value"), int | float):
            continue
        low, high = metric.get("interval") or (None, None)
        others = {plain(other): each[name].get("value") for other, each in baselines.items() if name in each}
        known = {other: float(value) for other, value in others.items() if value is not None}
        interval = None if low is None or high is None else (float(low), float(high))
        yield Figure(plain(name).replace("_", " "), float(metric["value"]), interval, known)


def _training(said: Json | None) -> Iterator[Block]:
    if not said:
        return
    facts = {name: value for name, value in said.items() if name != "curve"}
    if facts:
        yield Facts(_pairs(facts))
    curve = said["curve"]
    if len(curve) < 2:
        return
    lines = {
        named: [(float(each["epoch"]), float(each[name])) for each in curve if each.get(name) is not None]
        for name, named in (("loss", "training rows"), ("val_loss", "validation rows"))
    }
    ends = [
        f"on the {named} from {figure(line[0][1])} to {figure(line[-1][1])}" for named, line in lines.items() if line
    ]
    if ends:
        yield Plot(
            f"The loss {', '.join(ends)}.", "epoch", "loss", {named: line for named, line in lines.items() if line}
        )


def _reliability(said: Json | None) -> Iterator[Block]:
    """How often what is said with some confidence is right; on the diagonal as often as it is said."""
    points = [
        (float(each["confidence"]), float(each["accuracy"]))
        for each in (said or {}).get("reliability", [])
        if each.get("confidence") is not None and each.get("accuracy") is not None
    ]
    if len(points) > 1:
        told = "How often it is right, by how sure it says that it is; the straight line is where both are the same."
        yield Plot(told, "confidence", "right", {"held-out rows": points}, has_diagonal=True)


def _warnings(card: Json) -> Iterator[Block]:
    told = "suspected" if card["leakage"]["suspected"] else "nothing was found that looks like it"
    yield Text(f"Leakage: {told}.")
    yield from _blocks(card["leakage"]["report"])
    if card["warnings"]:
        yield _grid(card["warnings"])
    for each in card["erased_data"]:
        yield Text(f"It has learned from data of a {plain(each['kind'])} that was erased: {plain(each['erasure'])}.")


def _champion(said: Json | None) -> Iterator[Block]:
    if said is None:
        yield Text("It is the champion, or there is none.")
        return
    rows = "the same held-out rows" if said["on_same_rows"] else "different rows, so that the two say little"
    yield Text(f"{plain(said['reference'])}, on {rows}.")
    rows_of = [
        [
            plain(each["metric"]).replace("_", " "),
            *(with_interval(of["value"], of["interval"]) for of in each["values"]),
        ]
        for each in said["metrics"]
    ]
    yield Grid(["metric", "this one", "the champion"], rows_of)


def _moves(moves: dict[str, list[Json]]) -> Iterator[Block]:
    if not moves:
        yield Text("No alias has pointed to any version of this model.")
    for alias, found in moves.items():
        yield Text(f"{plain(alias)}:")
        names = ("at", "version", "from", "how", "key", "job", "reason")
        yield _grid([{name: move[name] for name in names} for move in found])
