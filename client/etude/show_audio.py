"""What was heard, for a person to read: a dataset of recordings, its tracks, an analysis, and tracks that are alike."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from etude import show_scored
from etude.choice import Choice
from etude.datasets import Dataset
from etude.jobs import Job
from etude.page import console, count, print_table, short, table

ROWS_SHOWN, FAULTS_SHOWN, NAMES_SHOWN = 40, 10, 3
# Told by a line of their own, with each file.
TOLD_OTHERWISE = ("tracks_unusable", "duplicates")

Json = dict[str, Any]
Say = Callable[[Json], str]


def left_out(chosen: Choice) -> None:
    """How many files of the folders are not sent, on standard error, with the first names."""
    if not chosen.left_out:
        return
    reasons = Counter(reason for _, reason in chosen.left_out)
    named = ", ".join(name for name, _ in chosen.left_out[:NAMES_SHOWN])
    more = ", …" if len(chosen.left_out) > NAMES_SHOWN else ""
    why = "; ".join(f"{number:,} {reason}" for reason, number in reasons.most_common())
    said = f"{count(len(chosen.left_out), 'file')} left out ({why}): {named}{more}"
    console(is_error=True).print(escape(said), style="dim")


def dataset(made: Dataset, audio: Json) -> None:
    """A dataset of recordings: how much, how loud, what is odd, and what cannot be used."""
    out = console()
    formats = ", ".join(f"{number:,} {name}" for name, number in audio["formats"].items())
    heard = f"{count(audio['tracks'], 'track')}, {audio['hours']:.2f} hours"
    out.print(escape(f"{made.reference}  {heard}, {formats}, target {target(made)}"))
    if audio["loudness_lufs"]:
        spread = audio["loudness_lufs"]
        said = f"  loudness {spread['median']:.1f} LUFS, from {spread['p10']:.1f} to {spread['p90']:.1f} for most"
        out.print(said)
    if audio["flags"]:
        flags = ", ".join(f"{number:,} {flag.replace('_', ' ')}" for flag, number in audio["flags"].items())
        out.print(escape(f"  flags: {flags}"))
    for first, other in audio["duplicates"][:FAULTS_SHOWN]:
        out.print(escape(f"  {other} sounds like {first}"), style="yellow")
    _more(out, audio["duplicates_total"] - len(audio["duplicates"][:FAULTS_SHOWN]))
    for fault in audio["faults"][:FAULTS_SHOWN]:
        out.print(Text(f"  {fault['file'] or 'row {}'.format(fault['row'])}: ", "red") + Text(str(fault["detail"])))
    _more(out, audio["faults_total"] - len(audio["faults"][:FAULTS_SHOWN]))
    if audio["faults_total"]:
        out.print(f"  etude tracks {made.reference} --faults", style="dim")


def target(made: Dataset) -> str:
    """What would be learned, and how: `genre (classification, 3 labels)`."""
    if not made.target:
        return "none"
    labels = f", {count(made.labels, 'label')}" if made.labels else ""
    return f"{', '.join(made.target)} ({made.kind}{labels})"


def _more(out: Console, number: int) -> None:
    if number > 0:
        out.print(f"  … and {number:,} more")


def tracks(found: Sequence[Json]) -> None:
    """What was heard of each track, or why it cannot be used."""
    usable = [each for each in found if each["fault"] is None]
    if usable:
        shown = _rows([each["key"] or "–" for each in usable], TRACK_COLUMNS, usable)
        print_table(shown, spare=("channels", "rate", "true peak", "format", "flags"))
    # As lines: a reason is a sentence, which no column of a terminal holds.
    for each in found:
        if each["fault"] is not None:
            place = each["key"] or "row {}".format(each["row"])
            console().print(Text(f"{place}: ", "red") + Text(str(each["fault"]["detail"])))


def _rows(names: Sequence[str], columns: Mapping[str, Say], found: Sequence[Json]) -> Table:
    """A track a row; columns in which nothing stands are left out."""
    cells = {name: [say(each) for each in found] for name, say in columns.items()}
    said = {name: column for name, column in cells.items() if any(column)}
    shown = table("track", *said)
    for name, *values in zip(names, *said.values(), strict=True):
        shown.add_row(escape(name), *(escape(value or "–") for value in values))
    return shown


def _length(seconds: float | None) -> str:
    return "" if seconds is None else f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def _flags(track: Json) -> str:
    same = [f"sounds like {track['duplicate_of']}"] if track["duplicate_of"] else []
    return ", ".join([*(flag.replace("_", " ") for flag in track["flags"] if flag != "duplicate"), *same])


TRACK_COLUMNS: dict[str, Say] = {
    "length": lambda track: _length(track["duration_s"]),
    "format": lambda track: track["format"] or "",
    "rate": lambda track: f"{track['rate_hz'] / 1000:g} kHz" if track["rate_hz"] else "",
    "channels": lambda track: str(track["channels"] or ""),
    "loudness": lambda track: _cell(track, "loudness", "integrated_lufs", 1, " LUFS"),
    "true peak": lambda track: _cell(track, "loudness", "true_peak_dbtp", 1, " dBTP"),
    "flags": _flags,
}


def analysis(out: Console, shown: Job, *, is_saving: bool) -> None:
    """The first tracks of an analysis, each in a row, and how often each tag was heard."""
    result = shown.result
    # Without it there are no pages to read from.
    if "jsonl" in shown.raw["params"].get("formats", ("jsonl",)):
        rows = list(islice(shown.predictions(), ROWS_SHOWN))
        if rows:
            print_table(heard(rows), spare=HEARD_SPARE)
        _more(out, result["rows"] - result["errors"] - len(rows))
    show_scored.failed(out, shown)
    errors = f", {result['errors']:,} could not be heard" if result["errors"] else ""
    out.print(escape(f"{count(result['rows'], 'track')}{errors}, heard with {result['model']}"))
    if result.get("tags"):
        tags = ", ".join(f"{tag} {number:,}" for tag, number in list(result["tags"].items())[:12])
        out.print(escape(f"  tracks with each tag: {tags}"))
    for name, value in _metrics(result):
        out.print(escape(f"  {name.replace('_', ' ')} {value:.3f}"))
    show_scored.reasons(out, shown, is_saving=is_saving)


def _metrics(result: Json) -> Iterator[tuple[str, float]]:
    """How near it came to what the manifest says is true, where it says anything."""
    for name, metric in (result.get("metrics") or {}).items():
        value = metric.get("value") if isinstance(metric, dict) else metric
        if value is not None:
            yield name, value


HEARD_COLUMNS: dict[str, Say] = {
    "top tags": lambda row: ", ".join(row.get("top_tags") or ()),
    "bpm": lambda row: _cell(row, "rhythm", "bpm", 1),
    "key": lambda row: " ".join(str(_part(row, "tonality").get(name) or "") for name in ("key", "mode")).strip(),
    "loudness": lambda row: _cell(row, "loudness", "integrated_lufs", 1, " LUFS"),
    "danceability": lambda row: _cell(row, "character", "danceability", 2),
    "energy": lambda row: _cell(row, "character", "energy", 2),
    "notes": lambda row: "" if row.get("notes") is None else f"{row['notes']:,}",
    "most like it": lambda row: ", ".join((_part(row, "similar").get("tracks") or ())[:2]),
}


HEARD_SPARE = ("most like it", "danceability", "energy", "notes", "loudness", "key")


def heard(rows: Sequence[Json]) -> Table:
    """Tracks as a table: what was found out of each."""
    return _rows([str(row["key"]) for row in rows], HEARD_COLUMNS, rows)


def _part(row: Json, name: str) -> Json:
    return row.get(name) or {}


def _cell(row: Json, part: str, name: str, places: int, unit: str = "") -> str:
    value = _part(row, part).get(name)
    return "" if value is None else f"{short(value, places)}{unit}"


def similar(said: Json) -> None:
    """The nearest tracks with the columns of their manifest."""
    found = said["data"]
    named = dict.fromkeys(name for each in found for name in each["columns"])
    # The column with the file's name says what stands in the first one.
    columns = [name for name in named if any(each["columns"].get(name) != each["track"] for each in found)]
    shown = table("track", "alike", *columns)
    for each in found:
        values = (each["columns"].get(name) for name in columns)
        shown.add_row(
            escape(each["track"]), short(each["score"], 3), *(escape("–" if v is None else str(v)) for v in values)
        )
    print_table(shown) if found else console().print("No track fits.")


def files(found: Iterable[Any], folder: str) -> None:
    """Where the files went, on standard error."""
    paths = list(found)
    size = sum(path.stat().st_size for path in paths)
    console(is_error=True).print(escape(f"Saved {count(len(paths), 'file')} in {folder} ({size:,} bytes)."))
