"""`etude` on the command line.

Results go to standard output, progress and errors to standard error. Exit codes: 0 well; 1 the job failed; 2 the
request was refused or the command was wrong; 3 not found, no key or not configured; 4 the service cannot be reached;
5 the job was cancelled; 130 Ctrl-C, which stops watching and never the job.
"""

import sys
from collections.abc import Callable
from typing import Any

import click

from etude import Client, Dataset, Job, __version__, audio_commands, given, look_commands, options, show, watch
from etude.choice import Choice, Format
from etude.errors import EtudeError, JobCancelled, JobFailed, NotConfigured, Refused, Unreachable

FAILED, REFUSED, NOT_FOUND, UNREACHABLE, CANCELLED, INTERRUPTED = 1, 2, 3, 4, 5, 130

Json = dict[str, Any]
Command = Callable[..., None]


def main() -> None:
    """The entry point: runs a command and turns what went wrong into an exit code."""
    as_json = "--json" in sys.argv
    try:
        sys.exit(etude.main(standalone_mode=False) or 0)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(REFUSED)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # `etude jobs | head`: nobody reads any more, and that is no error.
        sys.stderr.close()
        sys.exit(0)
    except EtudeError as error:
        show.error(error, as_json=as_json)
        sys.exit(exit_code(error))


def exit_code(error: EtudeError) -> int:
    match error:
        case JobFailed():
            return FAILED
        case JobCancelled():
            return CANCELLED
        case Unreachable():
            return UNREACHABLE
        case NotConfigured():
            return NOT_FOUND
        case Refused():
            return NOT_FOUND if error.status in (401, 403, 404) else REFUSED
    return REFUSED


@click.group(epilog=__doc__.partition("\n\n")[2].replace("\n", " "))
@click.version_option(__version__, prog_name="etude")
def etude() -> None:
    """Train, score and judge music models with an Etude service."""


for each in (*audio_commands.COMMANDS, *look_commands.COMMANDS):
    etude.add_command(each)


def _end(client: Client, job: Job, *, is_watching: bool, as_json: bool) -> None:
    """Watch the job if asked, and show what it came to."""
    if is_watching:
        watch.follow(job, as_json=as_json)
    if as_json:
        return show.as_json(job.raw)
    return show.job(job)


@etude.command()
@click.argument("data", nargs=-1, required=True)
@options.columns
@options.format
@click.option("--kind", help="classification or regression; found from the target without it.")
@click.option("--model", help="The model's name; the dataset's without it.")
@options.params
@click.option("--watch", "is_watching", is_flag=True, help="Stay and show how it goes.")
@options.as_json
def train(
    data: tuple[str, ...],
    kind: str | None,
    model: str | None,
    param: tuple[str, ...],
    params_file: str | None,
    is_watching: bool,
    as_json: bool,
    id_: str | None,
    format_: Format | None,
    **columns: Any,
) -> None:
    """Train a network on DATA: a folder of recordings, files (CSV, Parquet, NPZ), or a dataset such as songs@2.

    The labels of recordings stand in a CSV beside them; without one `--target folder` learns the names of subfolders.
    """
    params = options.read_params(param, params_file)
    with Client() as client:
        dataset = _to_learn(client, data, format_, id=id_, **columns)
        job = client.train(dataset, kind=kind, model=model, params=params)
        _end(client, job, is_watching=is_watching, as_json=as_json)


def _to_learn(client: Client, data: tuple[str, ...], format: Format | None, **columns: Any) -> Dataset:
    if not given.is_file(data):
        return client.dataset(data[0])
    chosen = given.files(data, format)
    _demand_labels(chosen, columns["target"])
    return given.upload(client, chosen, **columns)


def _demand_labels(chosen: Choice, target: tuple[str, ...]) -> None:
    """Before everything is sent and heard: recordings alone say nothing that could be learned."""
    if chosen.format == "audio" and not chosen.has_manifest and not target:
        said = "no CSV tells the labels of these recordings; --target folder learns the names of the subfolders."
        raise click.UsageError(said)


@etude.command()
@click.argument("model")
@click.argument("data", nargs=-1, required=True)
@click.option("--name", help="The name for the dataset, when DATA are files.")
@click.option("--id", "id_", help="The column that names each row, when DATA are files.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Wait, and save the predictions here.")
@options.format
@options.params
@click.option("--watch", "is_watching", is_flag=True, help="Stay and show how it goes.")
@options.as_json
def score(
    model: str,
    data: tuple[str, ...],
    name: str | None,
    id_: str | None,
    output: str | None,
    format_: Format | None,
    param: tuple[str, ...],
    params_file: str | None,
    is_watching: bool,
    as_json: bool,
) -> None:
    """Predict every row or recording of DATA with MODEL: name, name@3 or name@champion."""
    params = options.read_params(param, params_file)
    with Client() as client:
        dataset = given.dataset(client, data, format=format_, name=name, id=id_)
        job = client.score(model, dataset, params=params)
        _end(client, job, is_watching=is_watching or output is not None, as_json=as_json)
        if output is not None:
            show.saved(job.download(output))


@etude.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True))
@options.columns
@options.format
@click.option("--base", help="A dataset to which these files are added.")
@options.as_json
def upload(
    files: tuple[str, ...],
    as_json: bool,
    id_: str | None,
    base: str | None,
    format_: Format | None,
    **columns: Any,
) -> None:
    """Upload files, or a folder of recordings, as the next version of a dataset, and read them."""
    with Client() as client:
        dataset = given.upload(client, given.files(files, format_), id=id_, base=base, **columns)
        show.as_json(dataset.raw) if as_json else show.dataset(dataset)


@etude.command()
@click.option("--state", type=click.Choice(["queued", "running", "succeeded", "failed", "cancelled"]))
@click.option("--action", help="train, score or ingest.")
@click.option("--model", help="Only the trainings of this model.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@options.as_json
def jobs(state: str | None, action: str | None, model: str | None, limit: int, as_json: bool) -> None:
    """List jobs, the newest first."""
    with Client() as client:
        found = list(client.jobs(limit=limit, state=state, action=action, model=model))
        show.as_json([job.raw for job in found]) if as_json else show.jobs(found)


@etude.command()
@click.argument("job_id")
@click.option("--watch", "is_watching", is_flag=True, help="Stay until it ends.")
@options.as_json
def job(job_id: str, is_watching: bool, as_json: bool) -> None:
    """Show one job."""
    with Client() as client:
        _end(client, client.job(job_id), is_watching=is_watching, as_json=as_json)


@etude.command("watch")
@click.argument("job_id")
@options.as_json
def watch_job(job_id: str, as_json: bool) -> None:
    """Show how a job goes until it ends; Ctrl-C leaves it running."""
    with Client() as client:
        _end(client, client.job(job_id), is_watching=True, as_json=as_json)


@etude.command()
@click.argument("job_id")
@click.option("--keep", type=click.Choice(["best"]), help="Keep the best epoch as a model version.")
@options.as_json
def cancel(job_id: str, keep: str | None, as_json: bool) -> None:
    """Ask for the end of a job."""
    with Client() as client:
        asked = client.job(job_id).cancel(keep=keep)
        show.as_json(asked.raw) if as_json else show.job(asked)


@etude.command()
@click.argument("job_id")
@click.option("--watch", "is_watching", is_flag=True, help="Stay until it ends.")
@options.as_json
def retry(job_id: str, is_watching: bool, as_json: bool) -> None:
    """Run a failed job again."""
    with Client() as client:
        _end(client, client.job(job_id).retry(), is_watching=is_watching, as_json=as_json)


@etude.command()
@click.argument("model")
@click.argument("alias")
@click.argument("version", type=click.IntRange(1))
@click.option("--require", help="A gate: metric=alias, such as accuracy=champion.")
@options.as_json
def alias(model: str, alias: str, version: int, require: str | None, as_json: bool) -> None:
    """Point ALIAS of MODEL to VERSION."""
    metric, _, other = (require or "").partition("=")
    gate = {"metric": metric, "not_worse_than": other or "champion"} if metric else None
    with Client() as client:
        moved = client.set_alias(model, alias, version, require=gate)
        show.as_json(moved) if as_json else show.say(f"{model}@{alias} is now version {moved['version']}.")


@etude.command()
@click.argument("job_id")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="A .parquet, .csv or .jsonl file.")
@click.option("--errors", is_flag=True, help="The rows that could not be scored, each with its reason.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Rows to print without -o.")
@options.as_json
def predictions(job_id: str, output: str | None, errors: bool, limit: int, as_json: bool) -> None:
    """Print or save what a scoring predicted."""
    with Client() as client:
        found = client.job(job_id)
        if output is not None:
            return show.saved(found.download(output, errors=errors))
        rows = [row for row, _ in zip(found.predictions(errors=errors), range(limit), strict=False)]
        return show.as_json(rows) if as_json else show.rows(rows)


if __name__ == "__main__":
    main()
