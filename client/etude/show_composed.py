"""Models that compose, for a person to read: how well they foretell, what their music is like, and what they copied."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from etude.composing import Composition
from etude.jobs import Job
from etude.page import count, print_table, short, table, with_interval

PIECES_SHOWN, REFUSED_SHOWN, PASSAGES_SHOWN = 40, 5, 3
# Beside what the model comes to on a part of the pieces.
APART = ("music", "copies")
NAMES = {
    "nll_per_token": "loss a token",
    "nll_per_frame": "loss a frame",
    "nll_per_note": "loss a note",
    "nll_per_token_told": "loss a token, key and end told",
    "token_accuracy": "accuracy of tokens",
}
SETS = {"generated": "generated", "training": "training", "held_out": "held out"}
COPIED = {"notes": "notes", "bars": "bars", "melody_notes": "notes of the melody"}

Json = dict[str, Any]


def card(out: Console, said: Json) -> None:
    """What a training or a version says of its model in `metrics` and `baselines`."""
    for part, judged in said["metrics"].items():
        if part not in APART:
            _foretold(part, judged, said["baselines"].get(part, {}))
    _music(out, said["metrics"])


def evaluation(out: Console, shown: Job) -> None:
    """The same on pieces of another dataset."""
    result = shown.result
    _foretold("evaluation", result["metrics"]["evaluation"], {})
    _music(out, result["metrics"])
    left_out = f", {len(result['left_out']):,} left out: {_few(result['left_out'])}" if result["left_out"] else ""
    out.print(escape(f"{result['model']} on {count(result['pieces'], 'piece')}{left_out}"))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:PASSAGES_SHOWN]) + (", …" if len(names) > PASSAGES_SHOWN else "")


def _foretold(part: str, judged: Json, baselines: Json) -> None:
    """In nats, with the interval that holds 95 % of as many pieces drawn again."""
    unit = "pieces" if "nll_per_token" in judged else "part"
    shown = table(f"on the {part} {unit}", "network", *(name.replace("_", " ") for name in baselines))
    for name, figure in judged.items():
        if isinstance(figure, dict) and "value" in figure:
            cells = [with_interval(column.get(name), 3) for column in (judged, *baselines.values())]
            shown.add_row(NAMES.get(name, name.replace("_", " ")), *cells)
    print_table(shown)


def _music(out: Console, metrics: Json) -> None:
    music, copies = metrics.get("music"), metrics.get("copies")
    if not music or not copies:
        return
    out.print(f"[bold]the music[/bold] of {count(music['pieces'], 'piece')} of {count(music['bars'], 'bar')}")
    figures, spreads = table("", *SETS.values()), table("distance from training", "generated", "held out")
    for name, sets in music.items():
        if isinstance(sets, dict) and "distance" in sets:
            far = sets["distance"]
            spreads.add_row(name.replace("_", " "), short(far["generated"], 3), short(far["held_out"], 3))
        elif isinstance(sets, dict) and isinstance(sets["training"], dict):
            figures.add_row(name.replace("_", " "), *(with_interval(sets[of], 4) for of in SETS))
    print_table(figures)
    print_table(spreads)
    _copies(out, copies)


def _copies(out: Console, copies: Json) -> None:
    """What stands in the training set note for note, in any key; held-out pieces tell what is usual."""
    shown = table("longest passage that the training set has too", "generated", "held out")
    for name, said in COPIED.items():
        for which in ("median", "longest"):
            cells = (copies[of][name][which] for of in ("generated", "held_out"))
            shown.add_row(f"{said}, {which}", *("–" if cell is None else f"{cell:g}" for cell in cells))
    print_table(shown)
    for passage in copies["generated"]["longest"][:PASSAGES_SHOWN]:
        out.print(escape(f"  {passage['notes']} notes from bar {passage['at_bar']} on: {_place(passage)}"), style="dim")


def _place(passage: Json) -> str:
    """Where a passage stands: `song.mid, bar 5, 2 semitones lower`."""
    steps = passage["transposed_by"]
    moved = f", {count(abs(steps), 'semitone')} {'lower' if steps > 0 else 'higher'} there" if steps else ""
    return f"{passage['source_key']}, bar {passage['source_bar']}{moved}"


def composition(out: Console, shown: Job, *, is_saving: bool) -> None:
    """The pieces of a composition, and why some are not handed out."""
    made, result = Composition(shown), shown.result
    if made.pieces:
        print_table(_pieces(shown, made), spare=("file", "loss a token", "key"))
    if len(made.pieces) > PIECES_SHOWN:
        out.print(f"  … and {len(made.pieces) - PIECES_SHOWN:,} more")
    for piece in made.refused[:REFUSED_SHOWN]:
        out.print(Text(f"  {piece['key']} is not handed out: ", "red") + Text(str(piece["reason"])))
    if len(made.refused) > REFUSED_SHOWN:
        out.print(f"  … and {len(made.refused) - REFUSED_SHOWN:,} more")
    for warning in result["warnings"]:
        out.print(Text("warning: ", style="yellow") + Text(str(warning["detail"])))
    refused = f", {result['refused']:,} refused" if result["refused"] else ""
    out.print(escape(f"{count(result['pieces'], 'piece')} by {result['model']}{refused}"))
    if not is_saving and result["files"]:
        out.print(f"  etude files {shown.id} -o folder", style="dim")


def _pieces(shown: Job, made: Composition) -> Any:
    files: dict[str, str] = {}
    for file in shown.files():
        files.setdefault(file["key"], file["name"])
    columns = ("piece", "file", "bars", "key", "notes", "loss a token", "longest copy", "rules relaxed")
    listed = table(*columns)
    for piece in made.pieces[:PIECES_SHOWN]:
        cells = (files.get(piece["key"], "–"), *_cells(piece))
        listed.add_row(escape(piece["key"]), *map(escape, cells))
    return listed


def _cells(piece: Json) -> Iterator[str]:
    copied, relaxed = piece["copied"], piece["relaxed"]
    yield from (f"{piece['bars']}", piece["key_name"] or "–", f"{piece['notes']}", short(piece["nll_per_token"], 3))
    yield "–" if copied is None else f"{count(copied['notes'], 'note')}: {_place(copied)}"
    yield f"bar {', '.join(str(each['bar']) for each in relaxed)}" if relaxed else "–"
