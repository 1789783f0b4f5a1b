"""The commands that listen: analyze, tracks, files, similar."""

from itertools import islice
from typing import Any

import click

from etude import Client, Dataset, given, near, options, page, show, show_audio, watch
from etude.choice import Format

PARTS = ("tags", "rhythm", "tonality", "loudness", "spectrum", "character", "embedding", "notes")
# All that a tagger is asked for when nothing is said; notes take as long as all the others.
USUAL = PARTS[:-1]
# Asked for nothing it writes notes down.
TRANSCRIBER = "etude.transcriber"

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


@click.command(short_help="Listen: tags, tempo, key, loudness and more of every track.")
@click.argument("data", nargs=-1, required=True)
@click.option("--include", type=Parts(), help=f"What to find out, with commas: {','.join(PARTS)}.")
@click.option("--notes", is_flag=True, help="Transcribe too: a MIDI, CSV and JAMS file for each track.")
@click.option("--model", help="The model to hear with; etude.tagger-mtt without it.")
@click.option("-o", "--output", type=options.TableFile(), help="Save every figure as .parquet, .csv or .jsonl.")
@click.option("--files", "folder", type=click.Path(file_okay=False),
              help="Save what --notes, --param over_time=true or explain made for each track here.")  # fmt: skip
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
    options.demand_format(output, params)
    if folder is not None:
        _demand_files({**params, **({"include": asked} if asked else {})}, model)
    with Client() as client:
        if model is not None:
            client.resolve(model)
        dataset = given.dataset(client, data, format=format_, name=name)
        with near.named(client):
            job = client.analyze(dataset, include=asked, model=model, params=params)
        if is_watching or output is not None or folder is not None:
            watch.follow(job, as_json=as_json, output=output)
        # Saved first: whoever reads the table may stop reading, as `head` does.
        if output is not None:
            show.saved(job.download(output))
        if folder is not None:
            _save_files(job, folder)
        show.as_json(job.raw) if as_json else show.job(job, is_saving=folder is not None)


def _demand_files(params: Json, model: str | None) -> None:
    """Nothing is heard for a folder that would stay empty."""
    include = params.get("include") or (("notes",) if (model or "").startswith(TRANSCRIBER) else ())
    if "notes" not in include and not params.get("over_time") and not params.get("explain"):
        said = "--files saves what --notes, --param over_time=true or --param 'explain={}' makes: ask for one of them."
        raise click.UsageError(said)


def _save_files(job: Any, folder: str) -> None:
    with watch.bar("downloading") as bar:
        saved = job.download_files(folder, progress=bar.moved)
    show_audio.files(saved, folder)


@click.command(short_help="Save the files that a job made for single tracks.")
@click.argument("job_id")
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False), help="The folder to save them in.")
def files(job_id: str, output: str) -> None:
    """Save the files that a job made for single tracks: notes, beats, tags over time, reasons."""
    with Client() as client:
        _save_files(client.job(job_id), output)


@click.command(short_help="Show what was heard of each track, and what is wrong.")
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
            page.say("Every track can be used." if faults else "No tracks.")
        if has_more:
            page.say("… and more: --limit says how many are shown.")
        elif faults and _is_cut(dataset):
            page.say("… and perhaps more files that no row is about: the service names the first faults alone.")


def _is_cut(dataset: Dataset) -> bool:
    audio = dataset.audio or {}
    return len(audio.get("faults", ())) < int(audio.get("faults_total", 0))


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


@click.command(short_help="List the tracks that sound most like one.")
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
