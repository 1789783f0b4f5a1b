"""The commands that listen: analyze, tracks, files, similar."""

from itertools import islice
from typing import Any

import click

from etude import Client, Dataset, given, options, show, show_audio, watch
from etude.choice import Format

PARTS = ("tags", "rhythm", "tonality", "loudness", "spectrum", "character", "embedding", "notes")
# All that a tagger is asked for when nothing is said; notes take as long as all the others.
USUAL = PARTS[:-1]

Json = dict[str, Any]


class Parts(click.ParamType[tuple[str, ...]]):
    """`tags,rhythm`: some of the parts, with commas."""

    name = "parts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        parts = tuple(part.strip() for part in str(value).split(","))
        unknown = [part for part in parts if part not in PARTS]
        if unknown:
            self.fail(f"{', '.join(unknown)}: expected some of {','.join(PARTS)}", param, ctx)
        return parts


@click.command()
@click.argument("data", nargs=-1, required=True)
@click.option("--include", type=Parts(), help=f"What to find out, with commas: {','.join(PARTS)}.")
@click.option("--notes", is_flag=True, help="Transcribe too: a MIDI, CSV and JAMS file for each track.")
@click.option("--model", help="The model to hear with; etude.tagger-mtt without it.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Save every figure as .parquet, .csv or .jsonl.")
@click.option("--files", "folder", type=click.Path(file_okay=False), help="Save the files of each track here.")
@click.option("--name", help="The name for the dataset, when DATA are files.")
@options.format
@options.params
@click.option("--watch/--no-watch", "is_watching", default=True, help="Stay and show the result, or only queue it.")
@options.as_json
def analyze(
    data: tuple[str, ...],
    include: tuple[str, ...] | None,
    notes: bool,
    model: str | None,
    output: str | None,
    folder: str | None,
    name: str | None,
    format_: Format | None,
    param: tuple[str, ...],
    params_file: str | None,
    is_watching: bool,
    as_json: bool,
) -> None:
    """Listen to DATA: tags, tempo, key, loudness and character of every track; DATA are recordings or a dataset."""
    params = options.read_params(param, params_file)
    asked = (*(include or USUAL), "notes") if notes and "notes" not in (include or ()) else include
    with Client() as client:
        dataset = given.dataset(client, data, format=format_, name=name)
        job = client.analyze(dataset, include=asked, model=model, params=params)
        if is_watching or output is not None or folder is not None:
            watch.follow(job, as_json=as_json)
        # Saved first: whoever reads the table may stop reading, as `head` does.
        if output is not None:
            show.saved(job.download(output))
        if folder is not None:
            _save_files(job, folder)
        show.as_json(job.raw) if as_json else show.job(job)


def _save_files(job: Any, folder: str) -> None:
    with watch.bar("downloading") as bar:
        saved = job.download_files(folder, progress=bar.moved)
    show_audio.files(saved, folder)


@click.command()
@click.argument("job_id")
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False), help="The folder to save them in.")
def files(job_id: str, output: str) -> None:
    """Save the files that a job made for single tracks: notes, beats, tags over time, reasons."""
    with Client() as client:
        _save_files(client.job(job_id), output)


@click.command()
@click.argument("data")
@click.option("--faults", is_flag=True, help="Only those that cannot be used, each with its reason.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Tracks to print.")
@options.as_json
def tracks(data: str, faults: bool, limit: int, as_json: bool) -> None:
    """Show what was heard of each track of the dataset DATA, and what is wrong with it."""
    with Client() as client:
        dataset = client.dataset(data)
        heard = (each for each in client.tracks(dataset) if not faults or each["fault"] is not None)
        found = [*islice(heard, limit + 1)]
        found, has_more = found[:limit], len(found) > limit
        files = _nameless(dataset) if faults and not has_more else []
        if as_json:
            return show.as_json(found + files)
        if found or files:
            show_audio.tracks(found + files)
        else:
            show.say("Every track can be used." if faults else "No tracks.")
        if has_more:
            show.say("… and more: --limit says how many are shown.")


def _nameless(dataset: Dataset) -> list[Json]:
    """The files that no row of the manifest is about, in the form of tracks."""
    unheard = dict.fromkeys(("row", "start_s", "end_s", "duration_s", "format", "rate_hz", "channels", "quality"))
    missing = [fault for fault in (dataset.audio or {}).get("faults", ()) if fault["row"] is None]
    return [
        {
            **unheard, "key": fault["file"], "file": fault["file"], "loudness": None, "flags": [],
            "duplicate_of": None, "fault": {"code": fault["code"], "detail": fault["detail"]},
        }
        for fault in missing
    ]  # fmt: skip


@click.command()
@click.argument("model")
@click.argument("track")
@click.option("-k", "count", type=click.IntRange(1, 100), default=10, show_default=True, help="How many.")
@click.option("--dataset", help="Where to look; the dataset that MODEL learned from without it.")
@click.option(
    "--where", multiple=True, help="Only tracks with this value in a column, such as genre=rock (repeatable)."
)
@options.as_json
def similar(model: str, track: str, count: int, dataset: str | None, where: tuple[str, ...], as_json: bool) -> None:
    """List the tracks that sound most like TRACK, a key of a dataset's tracks."""
    wanted = options.read_pairs(where, "--where")
    with Client() as client:
        found = client.similar(model, track, k=count, dataset=dataset, where=wanted)
        show.as_json(found) if as_json else show_audio.similar(found)


COMMANDS = (analyze, tracks, files, similar)
